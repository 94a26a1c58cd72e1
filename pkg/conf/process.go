package conf

import (
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Process is the section "process": what every process of the suite has,
// whatever services run in it. Make one with DefaultProcess.
type Process struct {
	Data  string `yaml:"data" doc:"Folder for everything the process keeps on this machine: stores, keysets, files."`
	Store string `yaml:"store" secret:"url" doc:"Where services keep their data: bolt:///absolute/folder or postgres://user:password@host/database. Empty is bolt in the data folder."`

	GRPC      Listen            `yaml:"grpc" doc:"The gRPC server."`
	HTTP      Listen            `yaml:"http" doc:"The HTTP server, when the gateway runs in this process."`
	Admin     Admin             `yaml:"admin" doc:"The admin server: /livez /readyz /metrics /configz /backup /debug/pprof. It has no login: keep it off public networks."`
	Limits    Limits            `yaml:"limits" doc:"Limits of the gRPC server."`
	Drain     Drain             `yaml:"drain" doc:"What happens between SIGTERM and exit."`
	Log       Log               `yaml:"log" doc:"Logs, on standard error."`
	Telemetry Telemetry         `yaml:"telemetry" doc:"OpenTelemetry traces. Metrics are always on, at /metrics of the admin server."`
	Redis     Redis             `yaml:"redis" doc:"Redis, for caches and wake-ups between replicas. The suite is right without it, and fast with it."`
	Auth      Auth              `yaml:"auth" doc:"Whose tokens count."`
	Seal      Seal              `yaml:"seal" doc:"Encryption of everything that is stored."`
	Dial      Dial              `yaml:"dial" doc:"Connections to sister services of other processes."`
	Services  map[string]string `yaml:"services" doc:"Addresses of sister services that run elsewhere, by name, as in identity: dns:///identity:7700."`
}

// Listen is where and how a server listens.
type Listen struct {
	Address string `yaml:"address" doc:"host:port to listen on; port 0 picks a free one."`
	TLS     TLS    `yaml:"tls" doc:"TLS; off while cert_file is empty. Changed files are taken up without a restart."`
}

// TLS is a server's side of TLS.
type TLS struct {
	CertFile     string `yaml:"cert_file" doc:"PEM file with the certificate chain."`
	KeyFile      string `yaml:"key_file" doc:"PEM file with the certificate's private key."`
	ClientCAFile string `yaml:"client_ca_file" doc:"PEM file with the CAs of client certificates. When set, every client must show one (mTLS)."`
}

// Enabled reports whether TLS is on.
func (t TLS) Enabled() bool { return t.CertFile != "" }

// Check wants certificate and key together.
func (t TLS) Check(r *Report) {
	if t.CertFile != "" && t.KeyFile == "" {
		r.Fault("key_file", "is needed with cert_file")
	}
	if t.CertFile == "" && t.KeyFile != "" {
		r.Fault("cert_file", "is needed with key_file")
	}
	if t.CertFile == "" && t.ClientCAFile != "" {
		r.Fault("cert_file", "is needed with client_ca_file")
	}
}

// Check wants an address of the form host:port.
func (l Listen) Check(r *Report) { checkAddress(r, l.Address) }

// Admin is where the admin server listens.
type Admin struct {
	Address string `yaml:"address" doc:"host:port to listen on; port 0 picks a free one."`
}

// Check wants an address of the form host:port.
func (a Admin) Check(r *Report) { checkAddress(r, a.Address) }

func checkAddress(r *Report, address string) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		r.Fault("address", `must be host:port, as in "127.0.0.1:7700" or ":7700"`)
	}
}

// Limits bound what one caller may ask of the gRPC server.
type Limits struct {
	MessageSize     Size          `yaml:"message_size" min:"64KiB" max:"1GiB" doc:"Largest message that the server takes."`
	Streams         uint32        `yaml:"streams" min:"1" doc:"Most calls at once on one connection; a gateway has all its phones on a few."`
	DefaultDeadline time.Duration `yaml:"default_deadline" min:"1s" doc:"Time that a unary call gets when its caller set none."`
	MaxDeadline     time.Duration `yaml:"max_deadline" min:"1s" doc:"Most time that a unary call may ask for."`
}

// Drain is the order of stopping.
type Drain struct {
	Timeout  time.Duration `yaml:"timeout" min:"100ms" doc:"From the first signal to the hard stop. Keep it below the orchestrator's own kill timeout."`
	LameDuck time.Duration `yaml:"lame_duck" doc:"How long to go on serving while readiness already says no, so that load balancers notice. Part of timeout."`
	Streams  time.Duration `yaml:"streams" doc:"How long open streams get to end by themselves after the lame-duck time, before their context ends."`
}

// Check wants a default within the bounds.
func (l Limits) Check(r *Report) {
	if l.DefaultDeadline > l.MaxDeadline {
		r.Fault("default_deadline", "must not be longer than max_deadline")
	}
}

// Check wants the parts to fit in the whole.
func (d Drain) Check(r *Report) {
	if d.LameDuck >= d.Timeout {
		r.Fault("lame_duck", "must be shorter than timeout")
	}
}

// Log is what logs look like.
type Log struct {
	Level  string `yaml:"level" enum:"debug,info,warn,error" doc:"Least severity that is written."`
	Format string `yaml:"format" enum:"text,json" doc:"Form of a line."`
}

// Telemetry is where traces go.
type Telemetry struct {
	OTLPEndpoint string  `yaml:"otlp_endpoint" doc:"Collector that takes OTLP over gRPC, as in http://127.0.0.1:4317 or https://…. Empty turns tracing off."`
	SampleRatio  float64 `yaml:"sample_ratio" min:"0" max:"1" doc:"Share of traces that are recorded, by trace id. Set it the same in all processes."`
}

// Check wants a URL.
func (t Telemetry) Check(r *Report) {
	if t.OTLPEndpoint == "" {
		return
	}
	u, err := url.Parse(t.OTLPEndpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		r.Fault("otlp_endpoint", "must be a URL, http:// (in clear) or https://")
	}
}

// Auth is whose tokens count.
type Auth struct {
	Issuer         string `yaml:"issuer" doc:"Issuer of access tokens: the URL clients know the gateway by. The same for all processes of a deployment."`
	ClusterKeyFile string `yaml:"cluster_key_file" doc:"File with the key that services of one deployment share to sign their own tokens. Empty is cluster.key in the data folder, made at first start; with processes on several machines, give all the same file."`
}

// Check wants a URL, which OpenID Connect Discovery makes of an issuer.
func (a Auth) Check(r *Report) {
	u, err := url.Parse(a.Issuer)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		r.Fault("issuer", "must be a URL, https:// or, on one machine, http://")
	}
}

// Seal names the keyset files.
type Seal struct {
	KeysetFile string `yaml:"keyset_file" doc:"Keyset file of each service; {service} stands for the service's name. Empty is keys/{service}.json in the data folder, made at first start. Without the keyset the data cannot be read: back it up, apart from the data."`
	KEKFile    string `yaml:"kek_file" doc:"File with a key that wraps the keysets: 32 random bytes in base64 (openssl rand -base64 32). Keep it on another volume than the keysets."`
}

// Dial is a client's side of connections to sister services.
type Dial struct {
	CAFile     string `yaml:"ca_file" doc:"PEM file with the CAs of the other services' certificates. Turns TLS on."`
	CertFile   string `yaml:"cert_file" doc:"PEM file with this process's client certificate, for mTLS."`
	KeyFile    string `yaml:"key_file" doc:"PEM file with the client certificate's private key."`
	ServerName string `yaml:"server_name" doc:"Name expected in the other's certificate, when it is not the host of the address."`
}

// Check wants a whole set of files.
func (d Dial) Check(r *Report) {
	if (d.CertFile == "") != (d.KeyFile == "") {
		r.Fault("cert_file", "and key_file are needed together")
	}
	if d.CAFile == "" && (d.CertFile != "" || d.ServerName != "") {
		r.Fault("ca_file", "is needed with cert_file or server_name: it turns TLS on")
	}
}

// Overrides are the keys of the process section that a service's own section
// may set for that service alone. Empty values leave the process's.
type Overrides struct {
	Store string `yaml:"store" secret:"url" doc:"This service's store; empty is process.store."`
	Redis Redis  `yaml:"redis" doc:"This service's Redis; without a url it is the process's."`
	Seal  struct {
		KeysetFile string `yaml:"keyset_file" doc:"This service's keyset file; empty is process.seal.keyset_file."`
	} `yaml:"seal" doc:"Encryption of what this service stores."`
}

// DefaultProcess returns the defaults: everything on this machine, in ./data.
func DefaultProcess() *Process {
	return &Process{
		Data:      "./data",
		GRPC:      Listen{Address: "127.0.0.1:7700"},
		HTTP:      Listen{Address: "127.0.0.1:7780"},
		Admin:     Admin{Address: "127.0.0.1:7790"},
		Limits:    Limits{MessageSize: 4 * MiB, Streams: 100_000, DefaultDeadline: 10 * time.Second, MaxDeadline: time.Minute},
		Drain:     Drain{Timeout: 25 * time.Second, Streams: 2 * time.Second},
		Auth:      Auth{Issuer: "http://127.0.0.1:7780"},
		Log:       Log{Level: "info", Format: "text"},
		Telemetry: Telemetry{SampleRatio: 1},
	}
}

// Check wants a data folder.
func (p *Process) Check(r *Report) {
	if p.Data == "" {
		r.Fault("data", "must name a folder")
	}
}

// StoreURL returns the URL of a service's store. The data folder is made
// absolute, for bolt URLs are.
func (p *Process) StoreURL(o Overrides) (string, error) {
	switch {
	case o.Store != "":
		return o.Store, nil
	case p.Store != "":
		return p.Store, nil
	}
	folder, err := filepath.Abs(p.Data)
	if err != nil {
		return "", err
	}
	return (&url.URL{Scheme: "bolt", Path: filepath.ToSlash(folder)}).String(), nil
}

// KeysetFile returns the path of a service's keyset.
func (p *Process) KeysetFile(service string, o Overrides) string {
	file := o.Seal.KeysetFile
	if file == "" {
		file = p.Seal.KeysetFile
	}
	if file == "" {
		file = filepath.Join(p.Data, "keys", "{service}.json")
	}
	return strings.ReplaceAll(file, "{service}", service)
}

// ClusterKeyFile returns the path of the services' shared key.
func (p *Process) ClusterKeyFile() string {
	if p.Auth.ClusterKeyFile != "" {
		return p.Auth.ClusterKeyFile
	}
	return filepath.Join(p.Data, "cluster.key")
}

// RedisFor returns a service's Redis settings; Enabled is false when there is
// none.
func (p *Process) RedisFor(o Overrides) Redis {
	if o.Redis.Enabled() {
		return o.Redis
	}
	return p.Redis
}
