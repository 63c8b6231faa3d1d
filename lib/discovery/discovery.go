// Package discovery finds a main node on the local network, and answers for one that is sought: DNS-SD over multicast DNS (RFC 6763, RFC 6762), as much of it
// as that takes. What is found is only where to look: who is there shows by its key. It is for rc-mained and rc-workerd; its API may change in any release.
// Begin with Find and Answer.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Group is where multicast DNS is spoken.
const Group = "224.0.0.251:5353"

const (
	service  = "_retire-cluster._tcp.local."
	ttl      = 120     // seconds that an answer holds
	mostSize = 9000    // bytes of a message (RFC 6762, section 17)
	unicast  = 1 << 15 // of a question's class: to be answered to who asks (section 5.4)
)

// Node is a main node on the network.
type Node struct {
	Name        string // for people
	Fingerprint string
	Addresses   []string // host:port
}

// Answer answers who asks for main nodes, until ctx is done. at is where they ask: Group, or another address in tests. self is asked for each answer; one
// without addresses is kept to itself.
func Answer(ctx context.Context, at string, self func() Node) error {
	conn, err := listen(at)
	if err != nil {
		return fmt.Errorf("answer who looks for this main node: %w", err)
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	buf := make([]byte, mostSize)
	for {
		n, from, err := conn.ReadFromUDP(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("answer who looks for this main node: %w", err)
		}
		answer, toAll := answerTo(buf[:n], from.Port != groupPort, self())
		if answer == nil {
			continue
		}
		to := from
		if toAll {
			to = conn.LocalAddr().(*net.UDPAddr)
			if group, err := net.ResolveUDPAddr("udp4", at); err == nil {
				to = group
			}
		}
		conn.WriteToUDP(answer, to) // who hears nothing asks again
	}
}

const groupPort = 5353

func listen(at string) (*net.UDPConn, error) {
	to, err := net.ResolveUDPAddr("udp4", at)
	if err != nil {
		return nil, err
	}
	if !to.IP.IsMulticast() {
		return net.ListenUDP("udp4", to)
	}
	conn, err := net.ListenMulticastUDP("udp4", nil, to)
	if err == nil {
		hearOwn(conn)
	}
	return conn, err
}

// answerTo is the answer to a message; nil: there is none. toAll says that it is not for who asks alone.
func answerTo(message []byte, legacy bool, n Node) (answer []byte, toAll bool) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || h.Response || len(n.Addresses) == 0 {
		return nil, false
	}
	questions, err := p.AllQuestions()
	if err != nil {
		return nil, false
	}
	for _, q := range questions {
		asked := strings.EqualFold(q.Name.String(), service) && (q.Type == dnsmessage.TypePTR || q.Type == dnsmessage.TypeALL)
		if !asked {
			continue
		}
		id := uint16(0)
		if legacy { // who asks from another port speaks ordinary DNS (section 6.7)
			id = h.ID
		}
		b, err := n.message(id, q, legacy)
		if err != nil {
			return nil, false
		}
		return b, !legacy && q.Class&unicast == 0
	}
	return nil, false
}

// message says where a main node is.
func (n *Node) message(id uint16, q dnsmessage.Question, legacy bool) ([]byte, error) {
	label := strings.Map(func(r rune) rune {
		if r == '.' || r < ' ' {
			return '-'
		}
		return r
	}, n.Name)
	instance, err1 := dnsmessage.NewName(label[:min(len(label), 63)] + "." + service)
	host, err2 := dnsmessage.NewName(n.Fingerprint[:16] + ".local.")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, Response: true, Authoritative: true})
	b.EnableCompression()
	if legacy {
		b.StartQuestions()
		b.Question(q)
	}
	b.StartAnswers()
	head := func(name dnsmessage.Name) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: ttl}
	}
	err := b.PTRResource(head(q.Name), dnsmessage.PTRResource{PTR: instance})
	b.StartAdditionals()
	err = errors.Join(err, b.TXTResource(head(instance), dnsmessage.TXTResource{TXT: []string{"fp=" + n.Fingerprint}}))
	var ports []uint16
	for _, a := range n.Addresses {
		at, e := netip.ParseAddrPort(a)
		if e != nil {
			continue
		}
		if !slices.Contains(ports, at.Port()) {
			ports = append(ports, at.Port())
			err = errors.Join(err, b.SRVResource(head(instance), dnsmessage.SRVResource{Port: at.Port(), Target: host}))
		}
		if ip := at.Addr(); ip.Is4() {
			err = errors.Join(err, b.AResource(head(host), dnsmessage.AResource{A: ip.As4()}))
		} else {
			err = errors.Join(err, b.AAAAResource(head(host), dnsmessage.AAAAResource{AAAA: ip.As16()}))
		}
	}
	if err != nil {
		return nil, err
	}
	return b.Finish()
}

// Find asks on the network for main nodes, and gives what is answered within a time, or as soon as enough says so. It needs no more than to send a datagram
// and to hear the answers to it, which is what an app of Android may do. at is Group, or another address in tests.
func Find(ctx context.Context, at string, within time.Duration, enough func([]Node) bool) (found []Node, err error) {
	to, err := net.ResolveUDPAddr("udp4", at)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	question, err := question()
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(within)
	buf := make([]byte, mostSize)
	for wait := 250 * time.Millisecond; ; wait *= 2 { // what gets lost is asked again
		if _, err := conn.WriteToUDP(question, to); err != nil {
			return found, err
		}
		again := time.Now().Add(wait)
		if end.Before(again) {
			again = end
		}
		conn.SetReadDeadline(again)
		for {
			n, _, err := conn.ReadFromUDP(buf)
			if err != nil {
				break
			}
			if node, ok := parse(buf[:n]); ok {
				found = join(found, node)
			}
			if enough(found) {
				return found, nil
			}
		}
		if ctx.Err() != nil || !time.Now().Before(end) {
			return found, ctx.Err()
		}
	}
}

func question() ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{})
	b.StartQuestions()
	if err := b.Question(dnsmessage.Question{Name: dnsmessage.MustNewName(service), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET | unicast}); err != nil {
		return nil, err
	}
	return b.Finish()
}

const mostAddresses = 16

// parse reads an answer.
func parse(message []byte) (n Node, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(message)
	if err != nil || !h.Response || p.SkipAllQuestions() != nil {
		return n, false
	}
	answers, err1 := p.AllAnswers()
	err2 := p.SkipAllAuthorities()
	more, err3 := p.AllAdditionals()
	if errors.Join(err1, err2, err3) != nil {
		return n, false
	}
	var ports []uint16
	var ips []netip.Addr
	for _, r := range append(answers, more...) {
		switch body := r.Body.(type) {
		case *dnsmessage.PTRResource:
			n.Name, _ = strings.CutSuffix(body.PTR.String(), "."+service)
		case *dnsmessage.TXTResource:
			for _, t := range body.TXT {
				if fp, is := strings.CutPrefix(t, "fp="); is {
					n.Fingerprint = fp
				}
			}
		case *dnsmessage.SRVResource:
			ports = append(ports, body.Port)
		case *dnsmessage.AResource:
			ips = append(ips, netip.AddrFrom4(body.A))
		case *dnsmessage.AAAAResource:
			ips = append(ips, netip.AddrFrom16(body.AAAA))
		}
	}
	for _, port := range ports {
		for _, ip := range ips {
			if len(n.Addresses) < mostAddresses {
				n.Addresses = append(n.Addresses, netip.AddrPortFrom(ip, port).String())
			}
		}
	}
	return n, n.Fingerprint != "" && len(n.Addresses) > 0
}

// join adds what was heard of a main node to what is known of it.
func join(found []Node, n Node) []Node {
	for i := range found {
		if f := &found[i]; f.Fingerprint == n.Fingerprint {
			for _, a := range n.Addresses {
				if !slices.Contains(f.Addresses, a) && len(f.Addresses) < mostAddresses {
					f.Addresses = append(f.Addresses, a)
				}
			}
			return found
		}
	}
	return append(found, n)
}
