package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

var streamsLock sync.Mutex

func (b *bench) countStream() *atomic.Int64 {
	streamsLock.Lock()
	defer streamsLock.Unlock()
	mine := new(atomic.Int64)
	b.arrived = append(b.arrived, mine)
	return mine
}

func (b *bench) arrivals() []int64 {
	streamsLock.Lock()
	defer streamsLock.Unlock()
	counts := make([]int64, len(b.arrived))
	for i, count := range b.arrived {
		counts[i] = count.Load()
	}
	return counts
}

// measured runs f between the two marks.
func (b *bench) measured(f func()) numbers {
	b.mark("start")
	before, servedBefore, start := b.received.Load(), b.served.Load(), time.Now()
	f()
	got, took := mib(b.received.Load()-before), time.Since(start).Seconds()
	served := mib(b.served.Load() - servedBefore)
	b.mark("end")
	return numbers{
		"seconds": took, "mib": got, "mibS": got / took, "servedMib": served, "servedMibS": served / took,
	}
}

// bulk: throughput one way; with several streams, how evenly it is shared.
func bulk(b *bench) numbers {
	b.startBulk()
	time.Sleep(b.warmup)
	var before, after []int64
	result := b.measured(func() {
		before = b.arrivals()
		time.Sleep(b.window)
		after = b.arrivals()
	})
	slowest, sum := int64(-1), int64(0)
	for i := range before {
		moved := after[i] - before[i]
		sum += moved
		if slowest < 0 || moved < slowest {
			slowest = moved
		}
	}
	if len(before) > 1 && sum > 0 {
		result["slowestOfMean"] = float64(slowest) * float64(len(before)) / float64(sum)
	}
	return result
}

// rpc: round trips one after the other on one connection, beside -streams bulk streams.
func rpc(b *bench) numbers {
	b.startBulk()
	c := b.dialTo(b.urgent, wantsReplies)
	warming := b.pingPong(c, b.warmup)
	var took []time.Duration
	result := b.measured(func() { took = b.pingPong(c, b.window) })
	result["requestsS"] = float64(len(took)) / result["seconds"]
	result["stalls40ms"] = float64(b.stalls(took))
	result["warmupStalls"] = float64(b.stalls(warming))
	addQuantiles(result, took, "Us", time.Microsecond)
	return result
}

func (b *bench) stalls(took []time.Duration) (stalls int) {
	for _, t := range took {
		if t >= b.stall {
			stalls++
		}
	}
	return stalls
}

func (b *bench) pingPong(c *net.TCPConn, limit time.Duration) (took []time.Duration) {
	reply := make([]byte, b.reply)
	for end := time.Now().Add(limit); time.Now().Before(end); {
		start := time.Now()
		if _, err := c.Write(payload[:b.request]); err != nil {
			fail("request: %v", err)
		}
		if _, err := io.ReadFull(c, reply); err != nil {
			fail("reply: %v", err)
		}
		took = append(took, time.Since(start))
	}
	return took
}

// block: fetches as Spark does them, -inflight on each of -conns connections, beside -streams
// bulk streams.
func block(b *bench) numbers {
	var lock sync.Mutex
	var lives []life
	var isMeasured atomic.Bool
	b.startBulk()
	for range b.conns {
		go b.fetch(b.dial(wantsReplies), func(one life) {
			if isMeasured.Load() {
				lock.Lock()
				lives = append(lives, one)
				lock.Unlock()
			}
		})
	}
	time.Sleep(b.warmup)
	result := b.measured(func() {
		isMeasured.Store(true)
		time.Sleep(b.window)
		isMeasured.Store(false)
	})
	lock.Lock()
	defer lock.Unlock()
	result["blocks"] = float64(len(lives))
	took := make([]time.Duration, len(lives))
	for i, one := range lives {
		took[i] = one.took
	}
	addQuantiles(result, took, "Ms", time.Millisecond)
	if len(lives) > 0 {
		result["p99DipShare"] = slowestSpeed(lives) / result["mibS"]
	}
	return result
}

func (b *bench) fetch(c *net.TCPConn, note func(life)) {
	var asked []request // what is in flight, oldest first
	for {
		for len(asked) < b.inflight {
			asked = append(asked, request{time.Now(), b.received.Load()})
			if _, err := c.Write(payload[:b.request]); err != nil {
				b.failed.Add(1)
				return
			}
		}
		if b.discard(c, int64(b.reply), nil) != nil {
			b.failed.Add(1)
			return
		}
		note(life{time.Since(asked[0].at), b.received.Load() - asked[0].received})
		asked = asked[1:]
	}
}

// request: when it was made, and what had arrived on all connections by then.
type request struct {
	at       time.Time
	received int64
}

// hold: -conns connections that stay open and silent, beside as many that were there before: the
// bench reads the slope of the memory, without what a contestant allocates once.
func hold(b *bench) numbers {
	for range b.conns {
		b.open()
	}
	time.Sleep(b.warmup)
	result := b.measured(func() {
		for range b.conns {
			b.open()
		}
		time.Sleep(b.window)
	})
	result["conns"] = float64(b.conns)
	return result
}

// open returns a connection that has brought its first byte back, and how long that took.
func (b *bench) open() (*net.TCPConn, time.Duration) {
	start := time.Now()
	c := b.dial(wantsEcho)
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		fail("first byte: %v", err)
	}
	return c, time.Since(start)
}

// dialing: one connection after the other, from dial to first byte; each is closed again.
func dialing(b *bench) numbers {
	once := func() time.Duration {
		c, took := b.open()
		c.Close()
		time.Sleep(200 * time.Microsecond) // the close shall not count
		return took
	}
	for end := time.Now().Add(b.warmup); time.Now().Before(end); {
		once()
	}
	var took []time.Duration
	result := b.measured(func() {
		for end := time.Now().Add(b.window); time.Now().Before(end); {
			took = append(took, once())
		}
	})
	addQuantiles(result, took, "Us", time.Microsecond)
	return result
}

// settle: for what a stream that ended abruptly leaves to be done.
const settle = 500 * time.Millisecond

// frozen: -streams bulk streams alone, then beside one whose reader has stopped, then alone again.
func frozen(b *bench) numbers {
	b.startBulk()
	time.Sleep(b.warmup)
	b.mark("alone")
	before := b.speed(b.window)

	stuck := b.dial(wantsNothing)
	var absorbed atomic.Int64
	var isThawed atomic.Bool
	var atRest int64
	result := b.measured(func() {
		go func() {
			pour(stuck, &absorbed)
			if !isThawed.Load() {
				b.failed.Add(1)
			}
		}()
		time.Sleep(b.window / 2)
		atRest = absorbed.Load()
		time.Sleep(b.window / 2)
	})
	result["absorbedMib"] = mib(absorbed.Load())
	result["absorbedLateMib"] = mib(absorbed.Load() - atRest) // it has to stop taking in

	// Both ends at once: what lies on the way is dropped, not read.
	isThawed.Store(true)
	close(b.thaw)
	stuck.Close()
	time.Sleep(settle)
	b.mark("again")
	after := b.speed(b.window)
	b.mark("done")
	result["aloneBeforeMibS"], result["aloneAfterMibS"] = before, after
	result["keptOfAlone"] = result["mibS"] / ((before + after) / 2)
	return result
}

// speed is what arrives meanwhile, MiB/s.
func (b *bench) speed(window time.Duration) float64 {
	before, start := b.received.Load(), time.Now()
	time.Sleep(window)
	return mib(b.received.Load()-before) / time.Since(start).Seconds()
}
