package devbroker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// ErrRemote is the cause of [Start]'s refusal to listen where other machines
// could reach a broker that has no authentication.
var ErrRemote = errors.New("reachable from other machines, and this broker has no authentication")

// ErrAdvertise is the cause of [Start]'s refusal to listen on all addresses
// without being told which one clients are to use: the broker names it to them
// in its metadata.
var ErrAdvertise = errors.New("clients cannot be told an address to come back to")

// bind resolves address and listens on it, within the limits that o sets.
func bind(ctx context.Context, o Options) (*gate, error) {
	addr, err := resolve(ctx, o.Listen)
	if err != nil {
		return nil, err
	}
	if !addr.IP.IsLoopback() && !o.AllowRemote {
		return nil, fmt.Errorf("listen on %s: %w", o.Listen, ErrRemote)
	}
	if addr.IP.IsUnspecified() && o.Advertise == "" {
		return nil, fmt.Errorf("listen on %s: %w", o.Listen, ErrAdvertise)
	}
	if o.Advertise != "" {
		if _, _, err := splitHostPort(o.Advertise); err != nil {
			return nil, fmt.Errorf("advertise %q: %w", o.Advertise, err)
		}
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err // names the address
	}
	if o.Advertise != "" {
		return newGate(ln, address(o.Advertise)), nil
	}
	return newGate(ln, ln.Addr()), nil
}

// resolve turns host:port into an address to listen on. A host that has both
// loopback and other addresses is taken by the first that the resolver names.
func resolve(ctx context.Context, hostport string) (*net.TCPAddr, error) {
	host, port, err := splitHostPort(hostport)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", hostport, err)
	}
	if host == "" {
		return &net.TCPAddr{IP: net.IPv4zero, Port: port}, nil
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", hostport, err)
	}
	for _, ip := range ips {
		if ip.IP.To4() != nil {
			return &net.TCPAddr{IP: ip.IP, Port: port}, nil
		}
	}
	return &net.TCPAddr{IP: ips[0].IP, Port: port, Zone: ips[0].Zone}, nil
}

func splitHostPort(s string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, errors.New("must be host:port, such as 127.0.0.1:9092")
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("port %q must be a number from 0 to 65535", text)
	}
	return host, port, nil
}

// A gate is a listener that accepts nobody until it is opened, so that no client
// sees a broker that is still starting. It may give another address as its own:
// the broker tells clients the address of its listener.
type gate struct {
	net.Listener
	addr net.Addr
	open chan struct{}

	close  sync.Once
	closed chan struct{}
}

func newGate(ln net.Listener, addr net.Addr) *gate {
	return &gate{Listener: ln, addr: addr, open: make(chan struct{}), closed: make(chan struct{})}
}

func (g *gate) Addr() net.Addr { return g.addr }

func (g *gate) Accept() (net.Conn, error) {
	select {
	case <-g.open:
		return g.Listener.Accept()
	case <-g.closed:
		return nil, net.ErrClosed
	}
}

func (g *gate) Close() error {
	g.close.Do(func() { close(g.closed) })
	return g.Listener.Close()
}

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
