// Command yamux-tunnel is a reverse tunnel of a few lines over hashicorp/yamux: a client dials
// out, and each connection that comes in at the server's entry is a stream on that one link.
// It stands for all tunnels that multiplex with yamux (frp with -window 6291456).
//
//	yamux-tunnel -listen 127.0.0.1:7000 -entry 127.0.0.1:7001   # the relay
//	yamux-tunnel -dial 127.0.0.1:7000 -target 127.0.0.1:7002    # the endpoint
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"sync"

	"github.com/hashicorp/yamux"
)

func main() {
	listen := flag.String("listen", "", "server: `address` that the client dials")
	entry := flag.String("entry", "", "server: `address` whose connections are tunnelled")
	dial := flag.String("dial", "", "client: `address` of the server")
	target := flag.String("target", "", "client: `address` that gets the streams")
	config := yamux.DefaultConfig()
	window := flag.Uint("window", uint(config.MaxStreamWindowSize), "window of a stream in `bytes`")
	flag.Parse()
	config.MaxStreamWindowSize = uint32(*window)
	var err error
	if *dial != "" {
		err = runClient(*dial, *target, config)
	} else {
		err = runServer(*listen, *entry, config)
	}
	log.Fatal(err)
}

func runServer(listen, entry string, config *yamux.Config) error {
	links, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	link, err := links.Accept()
	if err != nil {
		return err
	}
	session, err := yamux.Server(link, config)
	if err != nil {
		return err
	}
	entries, err := net.Listen("tcp", entry)
	if err != nil {
		return err
	}
	for {
		local, err := entries.Accept()
		if err != nil {
			return err
		}
		stream, err := session.Open()
		if err != nil {
			return err
		}
		go join(local, stream)
	}
}

func runClient(dial, target string, config *yamux.Config) error {
	link, err := net.Dial("tcp", dial)
	if err != nil {
		return err
	}
	session, err := yamux.Client(link, config)
	if err != nil {
		return err
	}
	for {
		stream, err := session.Accept()
		if err != nil {
			return err
		}
		go func() {
			local, err := net.Dial("tcp", target)
			if err != nil {
				stream.Close()
				return
			}
			join(local, stream)
		}()
	}
}

// join copies both ways; the first end that comes closes both.
func join(a, b net.Conn) {
	var once sync.Once
	closeBoth := func() {
		a.Close()
		b.Close()
	}
	go func() {
		io.Copy(a, b)
		once.Do(closeBoth)
	}()
	io.Copy(b, a)
	once.Do(closeBoth)
}
