// The server of github.com/go-stomp/stomp, on the address that is its argument.
package main

import (
	"log"
	"net"
	"os"

	"github.com/go-stomp/stomp/v3/server"
)

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(server.Serve(listener))
}
