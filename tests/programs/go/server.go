package main

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
)

// print is a body in few words (Print of mixed/exchange.rs).
type print struct {
	Bytes int    `json:"bytes"`
	CRC   uint32 `json:"crc"`
}

func printOf(body []byte) print {
	return print{len(body), crc32.ChecksumIEEE(body)}
}

// exchange is a line of the log (Exchange of mixed/exchange.rs).
type exchange struct {
	ID       string  `json:"id"`
	Method   string  `json:"method"`
	Protocol string  `json:"protocol"`
	Request  print   `json:"request"`
	Status   int     `json:"status"`
	Coding   *string `json:"coding"`
	Response print   `json:"response"`
}

type handler struct {
	lock sync.Mutex
	log  *json.Encoder
}

func server(certificate, key, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	// Clients that leave are meant to.
	quiet := log.New(io.Discard, "", 0)
	server := &http.Server{Handler: &handler{log: json.NewEncoder(file)}, ErrorLog: quiet}
	return server.ServeTLS(listener, certificate, key)
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h.answer(w, r); err != nil {
		fmt.Fprintln(os.Stderr, "mixed: error:", err)
	}
}

func (h *handler) answer(w http.ResponseWriter, r *http.Request) error {
	var wanted plan
	if err := json.Unmarshal([]byte(r.Header.Get("x-plan")), &wanted); err != nil {
		return err
	}
	body, err := decoded(r)
	if err != nil {
		return err
	}
	pieces, err := wanted.answer(r.Method, body)
	if err != nil {
		return err
	}
	told := exchange{
		ID:       wanted.ID,
		Method:   r.Method,
		Protocol: r.Proto,
		Request:  printOf(body),
		Status:   wanted.Status,
		Response: printOf(bytes.Join(pieces, nil)),
	}
	if wanted.Coding != "identity" && len(pieces) > 0 {
		told.Coding = &wanted.Coding
		w.Header().Set("Content-Encoding", wanted.Coding)
	}
	h.lock.Lock()
	err = h.log.Encode(told)
	h.lock.Unlock()
	if err != nil {
		return err
	}
	w.Header().Set("X-Id", wanted.ID)
	w.Header().Set("X-Goroutine", goroutine())
	if len(pieces) > 0 {
		kind := "application/json"
		if bytes.HasPrefix(pieces[0], []byte("data:")) || bytes.HasPrefix(pieces[0], []byte("id:")) {
			kind = "text/event-stream"
		}
		w.Header().Set("Content-Type", kind)
	}
	w.WriteHeader(wanted.Status)
	// A client that has left takes no more; the log has what it was to get.
	err = send(w, wanted.Coding, pieces)
	if wanted.Hangs {
		if err == nil {
			<-r.Context().Done()
		}
		// Without this the answer would be given the end that it shall not have.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// send writes each piece by itself.
func send(w http.ResponseWriter, coding string, pieces [][]byte) error {
	out := io.Writer(w)
	finish := func() error { return nil }
	flush := finish
	switch {
	case len(pieces) == 0:
		return nil
	case coding == "gzip":
		encoder := gzip.NewWriter(w)
		out, flush, finish = encoder, encoder.Flush, encoder.Close
	case coding == "deflate":
		encoder := zlib.NewWriter(w)
		out, flush, finish = encoder, encoder.Flush, encoder.Close
	}
	for _, piece := range pieces {
		if _, err := out.Write(piece); err != nil {
			return err
		}
		if err := flush(); err != nil {
			return err
		}
		w.(http.Flusher).Flush()
	}
	return finish()
}

func decoded(r *http.Request) ([]byte, error) {
	var body io.Reader = r.Body
	var err error
	switch r.Header.Get("content-encoding") {
	case "":
	case "gzip":
		body, err = gzip.NewReader(r.Body)
	case "deflate":
		body, err = zlib.NewReader(r.Body)
	default:
		err = errors.New("a coding that the standard library does not have")
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(body)
}

// answer gives the pieces of the response's body, before its coding (mixed/answer.rs does the same).
func (p *plan) answer(method string, body []byte) ([][]byte, error) {
	var request struct {
		User   string `json:"user"`
		Model  string `json:"model"`
		Stream bool   `json:"stream"`
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &request); err != nil {
			return nil, err
		}
		if request.User != p.ID {
			return nil, fmt.Errorf("%s came with the body of %s", p.ID, request.User)
		}
	}
	if method == "HEAD" || p.Status == 204 || p.Status == 304 {
		return nil, nil
	}
	var pieces [][]byte
	switch {
	case p.Status != 200:
		told := map[string]string{"message": "told to fail " + p.ID, "type": "told", "code": "told"}
		pieces = p.cut(map[string]interface{}{"error": told})
	case p.Form == "json":
		text := strings.Repeat("j", p.Pieces*p.Size)
		pieces = p.cut(map[string]interface{}{"user": p.ID, "text": text})
	case p.Form == "events":
		for index := 0; index < p.Pieces; index++ {
			text := strings.Repeat("e", p.Size)
			event := fmt.Sprintf("id: %d\r\nevent: step\r\ndata: %s %s\r\n\r\n", index, p.ID, text)
			pieces = append(pieces, []byte(event))
		}
	case request.Stream:
		for index := 0; index <= p.Pieces; index++ {
			delta := map[string]string{}
			var reason interface{}
			if index == p.Pieces {
				reason = "stop"
			} else {
				delta["content"] = fmt.Sprint(index) + strings.Repeat("t", p.Size)
			}
			choice := map[string]interface{}{"index": 0, "delta": delta, "finish_reason": reason}
			chunk := p.completion(request.Model, "chat.completion.chunk", choice, index == p.Pieces)
			pieces = append(pieces, []byte("data: "+text(chunk)+"\n\n"))
		}
		pieces = append(pieces, []byte("data: [DONE]\n\n"))
	default:
		content := strings.Repeat("t", p.Pieces*p.Size)
		message := map[string]string{"role": "assistant", "content": content}
		choice := map[string]interface{}{"index": 0, "message": message, "finish_reason": "stop"}
		pieces = p.cut(p.completion(request.Model, "chat.completion", choice, true))
	}
	if p.Hangs {
		pieces = pieces[:p.Pieces/2]
	}
	return pieces, nil
}

func (p *plan) completion(model, object string, choice interface{}, last bool) interface{} {
	completion := map[string]interface{}{
		"id":      "chatcmpl-" + p.ID,
		"object":  object,
		"model":   model,
		"choices": []interface{}{choice},
	}
	if last {
		input, output := 1000+p.Number, 2000+3*p.Number
		completion["usage"] = map[string]uint64{
			"prompt_tokens":     input,
			"completion_tokens": output,
			"total_tokens":      input + output,
		}
	}
	return completion
}

// cut gives a whole body in the number of pieces that is wanted.
func (p *plan) cut(body interface{}) [][]byte {
	left := []byte(text(body))
	count := p.Pieces
	if count < 1 {
		count = 1
	}
	size := (len(left) + count - 1) / count
	var pieces [][]byte
	for len(left) > size {
		pieces = append(pieces, left[:size])
		left = left[size:]
	}
	return append(pieces, left)
}

// goroutine is the number of the one that calls, as a stack trace begins with it.
func goroutine() string {
	trace := make([]byte, 64)
	trace = trace[:runtime.Stack(trace, false)]
	return strings.Fields(string(trace))[1]
}

func text(value interface{}) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}
