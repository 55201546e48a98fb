package main

import (
	"bufio"
	"io"
	"math"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// What the first byte of a connection asks of the sink. Sizes of request and reply are the
// same at both ends: it is one process.
const (
	wantsDiscard = 'd' // read and drop
	wantsReplies = 'r' // answer each request with a reply
	wantsEcho    = 'e' // send this byte back, then wait for the end
	wantsNothing = 'n' // not be read, until the thaw ends the connection
)

const writeBytes = 256 << 10

var payload = make([]byte, 4<<20)

type bench struct {
	settings
	stdin    *bufio.Reader
	received atomic.Int64 // bytes of discard and replies that have arrived
	served   atomic.Int64 // bytes of replies that the kernel has taken
	failed   atomic.Int64 // ends of streams that broke: a stream that breaks may count at both
	nextWay  atomic.Int64
	thaw     chan struct{} // closed: who was never read is let go
	// arrived counts each discarding stream by itself, in the order in which they were accepted.
	arrived []*atomic.Int64
}

// ---- the side that dials ----

func (b *bench) dialTo(address string, wants byte) *net.TCPConn {
	c, err := net.Dial("tcp", address)
	if err == nil {
		_, err = c.Write([]byte{wants})
	}
	if err != nil {
		fail("dial %s: %v", address, err)
	}
	return c.(*net.TCPConn)
}

// dial takes the entries in turn.
func (b *bench) dial(wants byte) *net.TCPConn {
	n := b.nextWay.Add(1) - 1
	return b.dialTo(b.entries[int(n)%len(b.entries)], wants)
}

// awaitWay returns once a byte has gone through each entry and back.
func (b *bench) awaitWay(limit time.Duration) {
	deadline := time.Now().Add(limit)
	for _, entry := range append([]string{b.urgent}, b.entries...) {
		for !b.isOpen(entry) {
			if time.Now().After(deadline) {
				fail("nothing came back through %s within %v", entry, limit)
			}
			time.Sleep(30 * time.Millisecond)
		}
	}
}

func (b *bench) isOpen(entry string) bool {
	c, err := net.DialTimeout("tcp", entry, 2*time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	c.Write([]byte{wantsEcho})
	_, err = io.ReadFull(c, make([]byte, 1))
	return err == nil
}

// pour writes until the connection breaks, and counts what the kernel took.
func pour(c *net.TCPConn, sent *atomic.Int64) {
	for {
		n, err := c.Write(payload[:writeBytes])
		sent.Add(int64(n))
		if err != nil {
			return
		}
	}
}

func (b *bench) startBulk() {
	for range b.streams {
		c := b.dial(wantsDiscard)
		go func() {
			pour(c, new(atomic.Int64))
			b.failed.Add(1)
		}()
	}
}

// ---- the side that is dialled ----

func (b *bench) listen() {
	listener, err := net.Listen("tcp", b.sink)
	if err != nil {
		fail("%v", err)
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				fail("accept: %v", err)
			}
			go b.serve(c.(*net.TCPConn))
		}
	}()
}

func (b *bench) serve(c *net.TCPConn) {
	defer c.Close()
	wants := make([]byte, 1)
	if _, err := io.ReadFull(c, wants); err != nil {
		return
	}
	switch wants[0] {
	case wantsDiscard:
		mine := b.countStream()
		b.discard(c, math.MaxInt64, mine)
		b.failed.Add(1) // whoever pours never ends
	case wantsReplies:
		request := make([]byte, b.request)
		for {
			if _, err := io.ReadFull(c, request); err != nil {
				return
			}
			n, err := c.Write(payload[:b.reply])
			b.served.Add(int64(n))
			if err != nil {
				return
			}
		}
	case wantsEcho:
		c.Write(wants)
		c.Read(wants)
	case wantsNothing:
		<-b.thaw
	}
}

// discard takes in n bytes. MSG_TRUNC has the kernel drop them without a copy, so that a small
// machine keeps its CPUs for the contestant.
func (b *bench) discard(c *net.TCPConn, n int64, mine *atomic.Int64) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	for n > 0 {
		var got int
		var gotErr error
		err := raw.Read(func(fd uintptr) bool {
			most := int64(len(payload))
			if n < most {
				most = n
			}
			got, _, gotErr = syscall.Recvfrom(int(fd), payload[:most], syscall.MSG_TRUNC)
			return gotErr != syscall.EAGAIN
		})
		if err != nil {
			return err
		}
		if gotErr == syscall.EINTR {
			continue
		}
		if gotErr != nil {
			return gotErr
		}
		if got == 0 {
			return io.EOF
		}
		n -= int64(got)
		b.received.Add(int64(got))
		if mine != nil {
			mine.Add(int64(got))
		}
	}
	return nil
}
