package e2e

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/testkit"
)

// services are the processes of a split suite, the gateway last.
var services = []string{"identity", "permission", "groupchat", "feedback", "gateway"}

// suite is a running installation.
type suite struct {
	t testing.TB
	// http is the base URL of the gateway; grpc the target of each service.
	http string
	grpc map[string]string
	// processes by name: services, with "-2" added for a second replica, or
	// "guildhall".
	processes map[string]*process
	specs     map[string]spec
	// redis is nil in a suite without one.
	redis *testkit.RedisServer
	// operator is the first administrator.
	operator *person
	folder   string

	mu    sync.Mutex
	conns map[string]*grpc.ClientConn // by service; see dial
}

// topologies are the ways to run the suite, by name.
var topologies = map[string]func(t testing.TB) *suite{
	"one-process": oneProcess,
	"split":       split,
	"replicated":  replicated,
}

// quick are settings that make tests quick and change no behaviour.
var quick = []string{
	"--identity.passwords.memory=8192", "--identity.passwords.time=1",
	"--groupchat.stream_heartbeat=1s", "--log.level=debug",
	"--drain.streams=200ms", "--drain.timeout=20s",
}

// quickFor returns the settings that a program with this service knows.
func quickFor(service string) []string {
	return slices.DeleteFunc(slices.Clone(quick), func(setting string) bool {
		owner := regexp.MustCompile(`^--(identity|permission|groupchat|feedback|gateway)\.`).FindStringSubmatch(setting)
		return owner != nil && owner[1] != service
	})
}

func newSuite(t testing.TB) *suite {
	t.Helper()
	return &suite{
		t: t, folder: t.TempDir(), grpc: map[string]string{},
		processes: map[string]*process{}, specs: map[string]spec{}, conns: map[string]*grpc.ClientConn{},
	}
}

// oneProcess runs everything in one process, on bbolt.
func oneProcess(t testing.TB) *suite {
	t.Helper()
	s, administrator, password := fresh(t)
	s.operator = s.adoptOperator(administrator, password)
	return s
}

// fresh is oneProcess before anybody has logged in. It returns who can, and
// with which one-time password.
func fresh(t testing.TB, settings ...string) (s *suite, administrator, password string) {
	t.Helper()
	s = newSuite(t)
	grpc, http, admin := freePort(t, "127.0.0.1"), freePort(t, "127.0.0.1"), freePort(t, "127.0.0.1")
	s.specs["guildhall"] = spec{
		name: "guildhall", binary: "guildhall", folder: filepath.Join(s.folder, "data"),
		args: slices.Concat([]string{"--grpc.address=127.0.0.1:" + grpc, "--http.address=127.0.0.1:" + http, "--admin.address=127.0.0.1:" + admin, knownAs(http)}, quick, settings),
	}
	for _, service := range services {
		s.grpc[service] = "127.0.0.1:" + grpc
	}
	s.http = "http://127.0.0.1:" + http
	s.start("guildhall")
	administrator, password = s.firstStart("guildhall")
	return s, administrator, password
}

// split runs a process for each service, on bbolt, each with the service's own
// program.
func split(t testing.TB) *suite {
	t.Helper()
	s := newSuite(t)
	shared := []string{"--auth.cluster_key_file=" + filepath.Join(s.folder, "cluster.key")}
	ports := map[string]string{}
	for _, service := range services {
		ports[service] = freePort(t, "127.0.0.1")
		s.grpc[service] = "127.0.0.1:" + ports[service]
		if service != "gateway" {
			shared = append(shared, "--services."+service+"=127.0.0.1:"+ports[service])
		}
	}
	shared = append(shared, knownAs(ports["gateway"]))
	for _, service := range services {
		s.specs[service] = spec{
			name: service, binary: service, folder: filepath.Join(s.folder, service),
			args: slices.Concat(shared, listen(service, "127.0.0.1", ports[service]), quickFor(service)),
		}
	}
	s.http = "http://127.0.0.1:" + ports["gateway"]
	delete(s.grpc, "gateway")
	s.start(services...)
	s.adopt("identity")
	return s
}

// replicated runs a process for each service and two for permission and
// groupchat, on PostgreSQL and Redis, with the one program for all. Clients
// find replicas by name, as they do in production.
func replicated(t testing.TB) *suite {
	t.Helper()
	s := newSuite(t)
	s.redis = testkit.Redis(t)
	database := testkit.Postgres(t)
	shared := []string{
		"--auth.cluster_key_file=" + filepath.Join(s.folder, "cluster.key"),
		"--seal.keyset_file=" + filepath.Join(s.folder, "keys", "{service}.json"),
	}
	hosts := map[string][]string{}
	ports := map[string]string{}
	for _, service := range services {
		hosts[service] = []string{"127.0.0.1"}
		if service == "permission" || service == "groupchat" {
			hosts[service] = []string{"127.0.0.1", "127.0.0.2"}
		}
		ports[service] = freePort(t, hosts[service]...)
	}
	dns := serveNames(t, hosts)
	for _, service := range services[:len(services)-1] {
		s.grpc[service] = "dns://" + dns + "/" + net.JoinHostPort(service+"."+zone, ports[service])
		shared = append(shared, "--services."+service+"="+s.grpc[service])
	}
	shared = append(shared, knownAs(ports["gateway"]))
	for _, service := range services {
		for i, host := range hosts[service] {
			name := service
			if i > 0 {
				name += "-2"
			}
			s.specs[name] = spec{
				name: name, binary: "guildhall", folder: filepath.Join(s.folder, name),
				args: slices.Concat([]string{"-target=" + service}, shared, listen(service, host, ports[service]), quick),
				env:  []string{"GUILDHALL_STORE=" + database, "GUILDHALL_REDIS_URL=" + s.redis.URL},
			}
		}
	}
	s.http = "http://127.0.0.1:" + ports["gateway"]
	s.start(s.names()...)
	s.adopt("identity")
	return s
}

// knownAs tells a process by which URL clients know the gateway: standard clients
// find the endpoints below it.
func knownAs(port string) string { return "--auth.issuer=http://127.0.0.1:" + port }

// listen returns the addresses of a service that is alone in its process.
func listen(service, host, port string) []string {
	server := "--grpc.address="
	if service == "gateway" {
		server = "--http.address="
	}
	return []string{server + net.JoinHostPort(host, port), "--admin.address=127.0.0.1:0"}
}

// names returns the names of all processes, sorted.
func (s *suite) names() []string {
	var names []string
	for name := range s.specs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// start starts processes, all at once, and waits until they are ready.
func (s *suite) start(names ...string) {
	s.t.Helper()
	for _, name := range names {
		s.processes[name] = spawn(s.t, s.specs[name])
	}
	for _, name := range names {
		s.processes[name].awaitReady()
	}
}

// kill kills processes as kill -9 does.
func (s *suite) kill(names ...string) {
	for _, name := range names {
		s.processes[name].kill()
	}
}

// homeOf returns the processes that a service runs in.
func (s *suite) homeOf(service string) []string {
	return slices.DeleteFunc(s.names(), func(name string) bool {
		return name != "guildhall" && name != service && name != service+"-2"
	})
}

// oneTime matches what the first start tells the operator.
var oneTime = regexp.MustCompile(`administrator +(\S+)\n +one-time password +(\S+)\n`)

// firstStart returns what a process printed at its first start.
func (s *suite) firstStart(process string) (administrator, password string) {
	s.t.Helper()
	found := oneTime.FindStringSubmatch(s.processes[process].output())
	if found == nil {
		s.t.Fatalf("%s printed no one-time password:\n%s", process, s.processes[process].tail(tailLines))
	}
	return found[1], found[2]
}

// adopt logs the operator in with the one-time password that a process printed.
func (s *suite) adopt(process string) {
	s.t.Helper()
	s.operator = s.adoptOperator(s.firstStart(process))
}

// mustRead returns a file of the repository.
func mustRead(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
