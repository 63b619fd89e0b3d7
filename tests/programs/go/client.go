package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

// streams of an HTTP/2 connection at a time (Connection::STREAMS).
const streams = 20

func client(port, job string) error {
	file, err := os.Open(job)
	if err != nil {
		return err
	}
	defer file.Close()
	var connections []connection
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var one connection
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return err
		}
		connections = append(connections, one)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return together(len(connections), func(index int) error {
		return connections[index].run(port)
	})
}

// together does all at once and gives the first error.
func together(count int, act func(index int) error) error {
	errors := make([]error, count)
	var group sync.WaitGroup
	for index := range errors {
		index := index
		group.Add(1)
		go func() {
			defer group.Done()
			errors[index] = act(index)
		}()
	}
	group.Wait()
	for _, err := range errors {
		if err != nil {
			return err
		}
	}
	return nil
}

// run makes the calls over one TCP connection.
func (c *connection) run(port string) error {
	transport := &http.Transport{
		MaxConnsPerHost:    1,
		DisableCompression: true,
		ForceAttemptHTTP2:  c.Protocol == "http2",
	}
	if c.Protocol != "http2" {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	round := 1
	if c.Protocol == "http2" {
		round = streams
	}
	for start := 0; start < len(c.Calls); start += round {
		calls := c.Calls[start:]
		if len(calls) > round {
			calls = calls[:round]
		}
		err := together(len(calls), func(index int) error {
			return calls[index].make(client, port)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *call) make(client *http.Client, port string) error {
	var wanted plan
	if err := json.Unmarshal(c.Plan, &wanted); err != nil {
		return err
	}
	var body io.Reader
	switch len(c.Body) {
	case 0:
	case 1:
		body = bytes.NewReader(c.Body[0])
	default:
		// Of an unknown length, and a piece a read.
		var pieces []io.Reader
		for _, piece := range c.Body {
			pieces = append(pieces, bytes.NewReader(piece))
		}
		body = io.MultiReader(pieces...)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, c.Method, "https://localhost:"+port+c.Path, body)
	if err != nil {
		return err
	}
	for _, field := range c.Headers {
		request.Header.Set(field[0], field[1])
	}
	request.Header.Set("x-plan", string(c.Plan))
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != wanted.Status {
		return fmt.Errorf("%s: status %d", wanted.ID, response.StatusCode)
	}
	if wanted.Hangs {
		// Left after its first bytes.
		_, err = io.ReadAtLeast(response.Body, make([]byte, 1), 1)
	} else {
		_, err = io.Copy(io.Discard, response.Body)
	}
	return err
}
