package host

import (
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// TestEndpoint: what the operator named wins; what the chain has stays, unless it is
// where a relay on this machine listened.
func TestEndpoint(t *testing.T) {
	const own = "http://192.0.2.1:9000"
	for _, tt := range []struct{ public, chain, want string }{
		{"", "", own},
		{"https://a.example", "", "https://a.example"},
		{"https://a.example", "https://b.example", "https://a.example"},
		{"", "https://b.example", "https://b.example"},
		{"", "http://b.example:9000", "http://b.example:9000"},
		{"", "http://127.0.0.1:5", own},
		{"", "http://[::1]:5", own},
		{"", "http://0.0.0.0:5", own},
		{"", "http://192.0.2.1:5", own},
		{"", "http://192.0.2.2:5", "http://192.0.2.2:5"},
		{"", "https://192.0.2.1:5", "https://192.0.2.1:5"}, // by TLS: of something before it
	} {
		n := &node{Options: Options{Public: tt.public}, listens: own}
		if got := n.endpoint(tt.chain); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

func TestProfile(t *testing.T) {
	zero, one := uint64(0), uint64(1)
	was := contracts.Profile{PromptPrice: 5, CompletionPrice: 6, Endpoint: "http://x"}
	for p, want := range map[Profile]contracts.Profile{
		{}:                      was,
		{Endpoint: "http://y"}:  {PromptPrice: 5, CompletionPrice: 6, Endpoint: "http://y"},
		{PromptPrice: &zero}:    {CompletionPrice: 6, Endpoint: "http://x"},
		{CompletionPrice: &one}: {PromptPrice: 5, CompletionPrice: 1, Endpoint: "http://x"},
	} {
		if got := p.over(was); got != want {
			t.Errorf("%+v: %+v", p, got)
		}
	}
	texts := map[string]bool{}
	for _, p := range []Profile{{Endpoint: "http://y"}, {PromptPrice: &zero}, {PromptPrice: &one}, {CompletionPrice: &one}, {CompletionPrice: &zero}} {
		texts[p.what(attestation.Address{})] = true
	}
	if len(texts) != 5 {
		t.Errorf("different changes are the same errand: %v", texts)
	}
	for s, ok := range map[string]bool{
		"": true, "http://h": true, "https://h:1/p": true, "http://" + strings.Repeat("a", 120): true,
		"h": false, "ftp://h": false, "http://": false, "http://:1": false, "http://u@h": false, "http://h?q": false, "http://h#f": false, "http://h/\xe9": false, "http://" + strings.Repeat("a", 121): false,
	} {
		if err := (Profile{Endpoint: s}).Check(); (err == nil) != ok || err != nil && attestation.ExitCode(err) != 1 {
			t.Errorf("%q: %v", s, err)
		}
	}
}
