// Command bench-load sends traffic through a relay or a tunnel, and takes it in again at the
// other end: it is client and server at once, so that bytes are counted where they arrive and
// one clock times both ways.
//
//	client --> -entry (listener of the contestant) --> ... --> -sink (our own listener)
//
// Protocol with the bench that started it: it prints `mark NAME` and waits for a line on
// standard input, so that CPU time and memory of the contestant can be read while all
// connections are open; its last line is a JSON object of numbers. By hand: </dev/null.
//
// It has more threads than the machine has cores on purpose. With as many threads as cores, a
// request waits in Go's own run queue behind the bulk streams, and the load measures itself.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

type settings struct {
	entries  []string
	urgent   string
	sink     string
	streams  int
	conns    int
	inflight int
	request  int
	reply    int
	window   time.Duration
	warmup   time.Duration
	stall    time.Duration
}

type numbers map[string]float64

// cases by the name of -case.
var cases = map[string]func(*bench) numbers{
	"bulk":   bulk,
	"rpc":    rpc,
	"block":  block,
	"hold":   hold,
	"dial":   dialing,
	"frozen": frozen,
}

func main() {
	var s settings
	var seconds, warmup, stall float64
	which := flag.String("case", "bulk", "bulk, rpc, block, hold, dial or frozen")
	entry := flag.String("entry", "", "`addresses` to dial, comma separated; streams take them in turn")
	flag.StringVar(&s.urgent, "urgent", "", "`address` for requests (rpc); default: the first entry")
	flag.StringVar(&s.sink, "sink", "", "`address` to listen on")
	flag.IntVar(&s.streams, "streams", 1, "bulk streams; beside the requests in rpc and block")
	flag.IntVar(&s.conns, "conns", 4, "connections (block, hold)")
	flag.IntVar(&s.inflight, "inflight", 4, "requests in flight on each connection (block)")
	flag.IntVar(&s.request, "request", 128, "bytes of a request (rpc, block)")
	flag.IntVar(&s.reply, "reply", 512, "bytes of a reply (rpc, block), up to 4 MiB")
	flag.Float64Var(&seconds, "seconds", 3, "length of the measured window")
	flag.Float64Var(&warmup, "warmup", 1, "seconds before it")
	flag.Float64Var(&stall, "stall", 35, "`ms` that a request takes to be called a stall (rpc)")
	flag.Parse()
	s.entries = strings.Split(*entry, ",")
	if s.urgent == "" {
		s.urgent = s.entries[0]
	}
	s.window = time.Duration(seconds * float64(time.Second))
	s.warmup = time.Duration(warmup * float64(time.Second))
	s.stall = time.Duration(stall * float64(time.Millisecond))
	run, found := cases[*which]
	if !found {
		fail("no case %q", *which)
	}

	runtime.GOMAXPROCS(4*runtime.NumCPU() + 8)
	rand.Read(payload) // nobody shall gain by compressing
	b := &bench{settings: s, stdin: bufio.NewReader(os.Stdin), thaw: make(chan struct{})}
	b.listen()
	b.awaitWay(20 * time.Second)
	result := run(b)
	result["failed"] = float64(b.failed.Load())
	result["arrived"] = float64(len(b.arrivals()))
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fail("%v", err)
	}
}

// mark tells the bench that a window begins or ends, and waits until it has read its figures.
func (b *bench) mark(name string) {
	fmt.Println("mark", name)
	b.stdin.ReadString('\n')
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}
