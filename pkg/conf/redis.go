package conf

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Redis says how to reach Redis: one server, a Cluster, or a master that
// Sentinels name.
type Redis struct {
	URL                  []string      `yaml:"url" secret:"url" doc:"redis://[user[:password]@]host:port[/db] or rediss:// for TLS; several, with commas, for a Cluster or Sentinels. Empty is no Redis."`
	PasswordFile         string        `yaml:"password_file" doc:"File with the password, read again at every connection; takes the place of the URL's."`
	Cluster              bool          `yaml:"cluster" doc:"The URLs are nodes of a Redis Cluster."`
	SentinelMaster       string        `yaml:"sentinel_master" doc:"Name of the master; the URLs are then Sentinels."`
	SentinelPasswordFile string        `yaml:"sentinel_password_file" doc:"File with the Sentinels' password."`
	CAFile               string        `yaml:"ca_file" doc:"PEM file with the CAs of the server's certificate; empty is the system's."`
	CertFile             string        `yaml:"cert_file" doc:"PEM file with a client certificate."`
	KeyFile              string        `yaml:"key_file" doc:"PEM file with the client certificate's private key."`
	PoolSize             int           `yaml:"pool_size" min:"0" doc:"Most connections per server; 0 is ten per CPU."`
	Timeout              time.Duration `yaml:"timeout" doc:"Time for one command or one connection; 0 is 500ms."`
}

// DefaultRedisTimeout is short: a caller does better without Redis than
// waiting for it.
const DefaultRedisTimeout = 500 * time.Millisecond

// RedisTarget is what the URLs of a Redis say together.
type RedisTarget struct {
	Addresses          []string
	Username, Password string
	DB                 int
	TLS                bool
}

// Enabled reports whether there is a Redis.
func (c Redis) Enabled() bool { return len(c.URL) > 0 }

// Check wants URLs that agree and options that fit them.
func (c Redis) Check(r *Report) {
	if !c.Enabled() {
		return
	}
	if _, problem := c.Target(); problem != "" {
		r.Fault("url", problem)
	}
	if c.Cluster && c.SentinelMaster != "" {
		r.Fault("cluster", "and sentinel_master exclude each other")
	}
	if len(c.URL) > 1 && !c.Cluster && c.SentinelMaster == "" {
		r.Fault("url", "names several servers: set cluster, or sentinel_master")
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		r.Fault("cert_file", "and key_file are needed together")
	}
}

// Target reads the URLs. User, password and database are the first URL's; the
// others may leave them out. problem is "" or what is wrong, without the URL.
func (c Redis) Target() (t RedisTarget, problem string) {
	const form = "must be redis://host:port or rediss://host:port"
	for i, text := range c.URL {
		u, err := url.Parse(text)
		if err != nil || (u.Scheme != "redis" && u.Scheme != "rediss") || u.Hostname() == "" || u.RawQuery != "" {
			return t, form
		}
		port := u.Port()
		if port == "" {
			port = "6379"
		}
		host := u.Hostname()
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		t.Addresses = append(t.Addresses, host+":"+port)
		if i > 0 && t.TLS != (u.Scheme == "rediss") {
			return t, "must be all redis:// or all rediss://"
		}
		t.TLS = u.Scheme == "rediss"
		if i > 0 {
			continue
		}
		t.Username = u.User.Username()
		t.Password, _ = u.User.Password()
		if db := strings.Trim(u.Path, "/"); db != "" {
			if t.DB, err = strconv.Atoi(db); err != nil || t.DB < 0 {
				return t, form + "/db with a number for db"
			}
			if t.DB != 0 && c.Cluster {
				return t, "must not name a database: a Redis Cluster has only database 0"
			}
		}
	}
	return t, ""
}
