package api

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authz"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/serve"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
	"guildhall.dev/services/groupchat/internal/message"
)

// streamChunk is how many messages a stream reads at once: what a slow client
// costs in memory.
const streamChunk = 200

// StreamMessages reads the group's log from the store, always: a wake-up says
// when to look, never what there is. So a slow client falls behind in the
// store, not in our memory, and no message depends on a wake-up arriving.
func (s messages) StreamMessages(req *groupchatv1.StreamMessagesRequest, stream grpc.ServerStreamingServer[groupchatv1.StreamMessagesResponse]) error {
	ctx := stream.Context()
	follower, stop := s.Hub.Follow(ctx, req.GetParent())
	defer stop()
	now := make(chan struct{})
	close(now)
	cursor := message.After(req.GetParent(), req.GetAfterSequence())
	draining := serve.Draining(ctx)
	beat := time.NewTimer(s.Heartbeat)
	defer beat.Stop()
	t := &teller{stream: stream, scope: authz.ScopeOf(ctx), home: caller(ctx).Organization()}
	for {
		changed, scoped := follower.Changed(), t.scope.Changed()
		if err := t.tellScope(); err != nil {
			return err
		}
		step, err := s.next(ctx, cursor)
		if err != nil {
			return err
		}
		if err := t.tell(ctx, step); err != nil {
			return err
		}
		wake := changed
		if step.More {
			wake = now
		}
		beat.Reset(s.Heartbeat)
		select {
		case <-draining:
			return serve.ErrDraining()
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-wake:
		case <-scoped:
		case <-beat.C:
			// Sending asks service permission again whether the caller may
			// still read; see rpc.Config.Recheck.
			if err := stream.Send(heartbeat(step.Head)); err != nil {
				return err
			}
		}
	}
}

// next reads what follows the cursor, in the same snapshot in which it sees
// that the caller may have it.
func (s messages) next(ctx context.Context, cursor *message.Cursor) (message.Step, error) {
	const permission = "groupchat.messages.stream"
	who := caller(ctx)
	var step message.Step
	var member, leaving bool
	resume := *cursor
	err := s.Store.View(ctx, func(r kv.Reader) (err error) {
		*cursor = resume // the closure may run again
		if _, err = s.Groups.Live(r, "parent", cursor.Group); err != nil {
			return err
		}
		if _, member, err = s.Groups.Role(r, cursor.Group, who.Name); err != nil {
			return err
		}
		if leaving, err = s.Groups.Leaving(r, cursor.Group, who.Name); err != nil {
			return err
		}
		step, err = s.Messages.Next(r, cursor, streamChunk)
		return err
	})
	switch {
	case err != nil || member:
		return step, err
	case leaving:
		// Service permission has yet to hear that it was removed.
		return step, authz.NewDenied(permission, cursor.Group)
	}
	// Not a member, or no longer one: only another grant opens the group to it.
	return step, authz.ScopeOf(ctx).Again(ctx)
}

func heartbeat(head int64) *groupchatv1.StreamMessagesResponse {
	return &groupchatv1.StreamMessagesResponse{Event: &groupchatv1.StreamMessagesResponse_Heartbeat_{
		Heartbeat: &groupchatv1.StreamMessagesResponse_Heartbeat{LastSequence: head},
	}}
}
