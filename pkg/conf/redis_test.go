package conf

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRedisTarget_readsURLs(t *testing.T) {
	for name, c := range map[string]struct {
		in   Redis
		want RedisTarget
	}{
		"plain":    {Redis{URL: []string{"redis://h"}}, RedisTarget{Addresses: []string{"h:6379"}}},
		"all":      {Redis{URL: []string{"rediss://u:p@[::1]:7/3"}}, RedisTarget{Addresses: []string{"[::1]:7"}, Username: "u", Password: "p", DB: 3, TLS: true}},
		"sentinel": {Redis{URL: []string{"redis://a:1/2", "redis://b:2"}, SentinelMaster: "m"}, RedisTarget{Addresses: []string{"a:1", "b:2"}, DB: 2}},
	} {
		got, problem := c.in.Target()
		if problem != "" {
			t.Errorf("%s: %s", name, problem)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestRedisCheck_refusesWhatDoesNotFit(t *testing.T) {
	for name, c := range map[string]Redis{
		"scheme":               {URL: []string{"http://h"}},
		"no host":              {URL: []string{"redis://"}},
		"mixed TLS":            {URL: []string{"redis://a", "rediss://b"}, Cluster: true},
		"database in cluster":  {URL: []string{"redis://a/1"}, Cluster: true},
		"several":              {URL: []string{"redis://a", "redis://b"}},
		"cluster and sentinel": {URL: []string{"redis://a"}, Cluster: true, SentinelMaster: "m"},
		"half a pair":          {URL: []string{"rediss://a"}, CertFile: "x"},
	} {
		var faults []string
		c.Check(&Report{prefix: "process.redis", add: func(path, problem string) { faults = append(faults, path+" "+problem) }})
		if len(faults) == 0 {
			t.Errorf("%s: no fault", name)
		}
	}
}

func TestProcess_derivesPlaces(t *testing.T) {
	p := DefaultProcess()
	p.Data = "/var/lib/guildhall"
	url, err := p.StoreURL(Overrides{})
	if err != nil || url != "bolt:///var/lib/guildhall" {
		t.Errorf("store is %s, %v", url, err)
	}
	p.Store = "postgres://db/x"
	if url, _ := p.StoreURL(Overrides{}); url != "postgres://db/x" {
		t.Errorf("store is %s", url)
	}
	if url, _ := p.StoreURL(Overrides{Store: "bolt:///mine"}); url != "bolt:///mine" {
		t.Errorf("store is %s", url)
	}
	if got := p.KeysetFile("identity", Overrides{}); got != "/var/lib/guildhall/keys/identity.json" {
		t.Errorf("keyset is %s", got)
	}
	p.Seal.KeysetFile = "/run/secrets/{service}.keyset"
	if got := p.KeysetFile("identity", Overrides{}); got != "/run/secrets/identity.keyset" {
		t.Errorf("keyset is %s", got)
	}
	if got := p.ClusterKeyFile(); got != "/var/lib/guildhall/cluster.key" {
		t.Errorf("cluster key is %s", got)
	}
	p.Redis.URL = []string{"redis://a"}
	if got := p.RedisFor(Overrides{Redis: Redis{URL: []string{"redis://b"}}}); got.URL[0] != "redis://b" {
		t.Errorf("redis is %v", got)
	}
	if got := p.RedisFor(Overrides{}); got.URL[0] != "redis://a" {
		t.Errorf("redis is %v", got)
	}
}
