package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
	"guildhall.dev/services/all/internal/stage"
)

// asker asks one server over several connections. Its calls are those of a
// sister service, without the interceptors of one, so that what is compared is
// the two servers.
type asker struct {
	conns   []*grpc.ClientConn
	clients []permissionv1.CheckServiceClient
}

func newAsker(address string, connections int, identity *stage.StandIn) (*asker, error) {
	a := &asker{}
	for range connections {
		conn, err := identity.AsService(address, "permission", "gateway")
		if err != nil {
			a.close()
			return nil, err
		}
		a.conns, a.clients = append(a.conns, conn), append(a.clients, permissionv1.NewCheckServiceClient(conn))
	}
	return a, nil
}

func (a *asker) close() {
	for _, c := range a.conns {
		c.Close()
	}
}

// may asks one question.
func (a *asker) may(ctx context.Context, subject, permission, resource string) (bool, error) {
	resp, err := a.clients[0].Check(ctx, &permissionv1.CheckRequest{
		Parent: home, Query: &permissionv1.CheckQuery{Subject: subject, Permission: permission, Resource: resource},
	}, grpc.WaitForReady(true))
	return resp.GetResult().GetAllowed(), err
}

// errWrong is a check that was answered wrongly: then no figure counts.
var errWrong = errors.New("bench: a check was answered wrongly")

// load keeps the callers of a sheet asking for a while.
func (a *asker) load(ctx context.Context, server *process, s sheet, duration time.Duration) (figures, error) {
	method, raw := permissionv1.CheckService_BatchCheck_FullMethodName, grpc.ForceCodecV2(newCodec())
	if s.size == 1 {
		method = permissionv1.CheckService_Check_FullMethodName
	}
	var stop atomic.Bool
	end := time.AfterFunc(duration, func() { stop.Store(true) })
	defer end.Stop()
	return server.figures(ctx, len(s.callers), s.size, func(i int, _ *rand.Rand, took func(time.Duration)) error {
		conn, got := a.conns[i%len(a.conns)], answers(nil)
		for k := 0; k == 0 || !stop.Load(); k++ {
			p := s.callers[i][k%len(s.callers[i])]
			begun := time.Now()
			if err := conn.Invoke(ctx, method, p, &got, raw); err != nil {
				return err
			}
			took(time.Since(begun))
			if !server.answers {
				continue
			}
			if err := p.check(got); err != nil {
				return err
			}
		}
		return nil
	})
}

// each asks one question about every account, by 16 callers.
func (a *asker) each(ctx context.Context, server *process, d Dataset, users int) (figures, error) {
	const callers = 16
	var next atomic.Int64
	return server.figures(ctx, callers, 1, func(i int, r *rand.Rand, took func(time.Duration)) error {
		for {
			user := int(next.Add(1)) - 1
			if user >= users {
				return nil
			}
			group := d.teamOf(user, r.IntN(memberships))
			begun := time.Now()
			resp, err := a.clients[i%len(a.clients)].Check(ctx, &permissionv1.CheckRequest{Parent: home, Query: &permissionv1.CheckQuery{
				Subject: d.user(user), Permission: d.permissions[0], Resource: d.group(group),
			}})
			if err != nil {
				return err
			}
			if !resp.GetResult().GetAllowed() {
				return fmt.Errorf("%w: %s on %s", errWrong, d.user(user), d.group(group))
			}
			took(time.Since(begun))
		}
	})
}

// figures are what one load got out of one server.
type figures struct {
	perSecond float64 // questions
	p50, p99  time.Duration
	cpu       float64 // seconds of the server, for 100,000 questions
	mallocs   float64 // of the server, for a question
}

// figures runs so many callers and returns what they and the server's own
// metrics say.
func (p *process) figures(ctx context.Context, callers, size int, do func(i int, r *rand.Rand, took func(time.Duration)) error) (figures, error) {
	before, err := p.usage(ctx)
	if err != nil {
		return figures{}, err
	}
	times, failures := make([][]time.Duration, callers), make([]error, callers)
	begun := time.Now()
	var running sync.WaitGroup
	for i := range callers {
		running.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), uint64(begun.UnixNano())))
			failures[i] = do(i, r, func(d time.Duration) { times[i] = append(times[i], d) })
		})
	}
	running.Wait()
	elapsed := time.Since(begun)
	if err := errors.Join(failures...); err != nil {
		return figures{}, err
	}
	after, err := p.usage(ctx)
	if err != nil {
		return figures{}, err
	}
	all := slices.Concat(times...)
	if len(all) == 0 {
		return figures{}, errors.New("bench: no call ended in time; let rounds last longer")
	}
	slices.Sort(all)
	questions := float64(len(all) * size)
	return figures{
		perSecond: questions / elapsed.Seconds(),
		p50:       all[len(all)/2], p99: all[len(all)*99/100],
		cpu:     (after.cpu - before.cpu) / questions * 100_000,
		mallocs: (after.mallocs - before.mallocs) / questions,
	}, nil
}

// median returns the median of each figure by itself.
func median(rounds []figures) figures {
	pick := func(of func(figures) float64) float64 {
		values := make([]float64, len(rounds))
		for i, f := range rounds {
			values[i] = of(f)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return figures{
		perSecond: pick(func(f figures) float64 { return f.perSecond }),
		p50:       time.Duration(pick(func(f figures) float64 { return float64(f.p50) })),
		p99:       time.Duration(pick(func(f figures) float64 { return float64(f.p99) })),
		cpu:       pick(func(f figures) float64 { return f.cpu }),
		mallocs:   pick(func(f figures) float64 { return f.mallocs }),
	}
}
