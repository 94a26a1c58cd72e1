package feed_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"guildhall.dev/pkg/authn"
	"guildhall.dev/pkg/feed"
	"guildhall.dev/pkg/kv/kvopen"
	groupchatv1 "guildhall.dev/proto/gen/guildhall/groupchat/v1"
)

// A test binary that finds these is a consumer that waits to be killed.
const (
	childStore  = "GUILDHALL_FEED_TEST_STORE"
	childSocket = "GUILDHALL_FEED_TEST_SOCKET"
)

func TestMain(m *testing.M) {
	if os.Getenv(childStore) == "" {
		os.Exit(m.Run())
	}
	if err := consume(os.Getenv(childStore), os.Getenv(childSocket)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// consume follows the feed behind the socket and says on standard output when
// something has taken effect.
func consume(store, socket string) error {
	ctx := context.Background()
	s, err := kvopen.Open(ctx, store, storeOptions())
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	c, err := feed.NewConsumer(feed.ConsumerConfig{
		Name: "groupchat", Store: s, Handle: count,
		Source:  groupchatv1.NewGroupChatEventServiceClient(conn).StreamEvents,
		Applied: func() { fmt.Println("applied") },
	})
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

// serve serves a feed on a socket until the test ends.
func serve(t *testing.T, l *feed.Log) (socket string) {
	t.Helper()
	// Not t.TempDir: the name of a socket is at most about 100 bytes long.
	dir, err := os.MkdirTemp("", "feed")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	socket = filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.StreamInterceptor(asService))
	groupchatv1.RegisterGroupChatEventServiceServer(server, feed.NewServer(l))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return socket
}

// asService makes every caller a sister service.
func asService(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
	return h(srv, caller{ss})
}

type caller struct{ grpc.ServerStream }

func (c caller) Context() context.Context {
	return authn.WithCaller(c.ServerStream.Context(), authn.Caller{Name: authn.ServiceName("identity")})
}

func TestConsumer_killedAgainAndAgainEveryEventHasItsEffectOnce(t *testing.T) {
	eachStoreURL(t, func(t *testing.T, url string) {
		source := openBolt(t)
		l := openLog(t, source)
		socket := serve(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		produced := make(chan int, 1)
		go func() {
			n := 0
			for ctx.Err() == nil {
				if err := appendOne(ctx, source, l, event(group(n))); err == nil {
					n++
				} else if ctx.Err() == nil {
					t.Error(err)
					break
				}
			}
			produced <- n
		}()
		for round := range 10 {
			runAndKill(t, url, socket, round)
		}
		cancel()
		// An append whose context ended may have been committed all the same.
		<-produced
		events, _ := readAll(t, l, "", 0)

		s, err := kvopen.Open(t.Context(), url, storeOptions())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		c, stop := follow(t, newPipe(t, l), s)
		caughtUp(t, c)
		stop()
		subjects := make(map[string]bool)
		for _, e := range events {
			subjects[e.GetSubject()] = true
		}
		t.Logf("%d events", len(subjects))
		checkCounts(t, s, len(subjects), 1)
	})
}

// runAndKill starts a consumer and kills it some effects later.
func runAndKill(t *testing.T, url, socket string, effects int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childStore+"="+url, childSocket+"="+socket)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range effects {
		if !lines.Scan() {
			break
		}
	}
	if !lines.Scan() {
		t.Error("a consumer ended before it was killed")
	}
	// Most often the kill falls into the next transaction.
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("a killed consumer ended well")
	}
}
