package client

import (
	"context"
	"errors"
	"iter"

	"github.com/retire-cluster/retire-cluster/lib/wire"
)

// Event is something that happened in the cluster, with what the task printed where that was asked for.
type Event = wire.Event

// Ends of a stream before its ack.
var (
	errEnough = errors.New("enough") // its reader wants no more
	errAgain  = errors.New("again")  // it has to be asked for otherwise
)

// Events are the events that f asks for; with Follow also those that will come, until ctx ends or the loop does. When the
// connection breaks it connects again and goes on after the last event: none is missed and none comes twice. An error ends it.
func (c *Client) Events(ctx context.Context, f wire.FollowEvents) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f := f // every loop begins at the beginning
		each := func(m *wire.Message) error {
			var e Event
			if err := m.Decode(&e); err != nil {
				return wire.NewError(err)
			}
			if e.Seq <= f.After {
				return nil
			}
			f.After, f.Last = e.Seq, 0
			return enough(!yield(e, nil))
		}
		end := func(m *wire.Message) (bool, error) {
			var ack wire.Followed
			if err := reply(m, wire.TypeAck, &ack); err != nil {
				return false, err
			}
			if ack.Next > f.After {
				f.After, f.Last = ack.Next, 0
			}
			return !f.Follow, nil
		}
		s := &stream{wire.TypeFollowEvents, &f, wire.TypeEvent, each, end, f.Follow}
		if err := c.run(ctx, s); err != nil {
			yield(Event{}, err)
		}
	}
}

func enough(is bool) error {
	if is {
		return errEnough
	}
	return nil
}
