// Either end of the mixed load, by Go's own HTTP over crypto/tls: HTTP/1.1 and HTTP/2.
//
//	usage: mixed client PORT JOB               (JOB: a connection a line, see mixed/plan.rs)
//	       mixed server CERTIFICATE KEY LOG    (prints its port, and logs what each exchange was)
//
// Nothing but the standard library, and nothing of it that Go 1.17 does not have.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// plan is what a call asks to be answered (Plan of mixed/plan.rs).
type plan struct {
	ID     string `json:"id"`
	Number uint64 `json:"number"`
	Form   string `json:"form"`
	Status int    `json:"status"`
	Pieces int    `json:"pieces"`
	Size   int    `json:"size"`
	Coding string `json:"coding"`
	Hangs  bool   `json:"hangs"`
}

// call is one exchange as the client is told of it (Call of mixed/plan.rs).
type call struct {
	Method  string          `json:"method"`
	Path    string          `json:"path"`
	Headers [][2]string     `json:"headers"`
	Body    [][]byte        `json:"body"`
	Plan    json.RawMessage `json:"plan"`
}

// connection has calls that are made after each other, or over HTTP/2 streams at a time.
type connection struct {
	Protocol string `json:"protocol"`
	Calls    []call `json:"calls"`
}

func main() {
	arguments := os.Args[1:]
	var err error
	switch {
	case len(arguments) == 3 && arguments[0] == "client":
		err = client(arguments[1], arguments[2])
	case len(arguments) == 4 && arguments[0] == "server":
		err = server(arguments[1], arguments[2], arguments[3])
	default:
		err = fmt.Errorf("usage: mixed client PORT JOB | mixed server CERTIFICATE KEY LOG")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mixed:", err)
		os.Exit(1)
	}
}
