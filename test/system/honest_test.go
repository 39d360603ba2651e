package system

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/client"
)

// The control of all others: with nobody lying the same client gets its answer
// and a receipt, and the server still hears nothing of the prompt in the clear.
func TestHonest(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t, withModel(t))
	l := r.newRelay(t)
	u := r.newUser(t, l)
	for i, stream := range []bool{false, true} {
		secret := newSecret()
		a, err := u.ask(t, secret, stream)
		if err != nil {
			t.Fatal(err)
		}
		f := client.ReceiptOf(a.resp)
		if f == nil || f.Receipt.Head.Index != uint64(i) || len(u.receipts()) != i+1 {
			t.Fatalf("receipt %v, %d kept", f, len(u.receipts()))
		}
		if !client.NodeOf(a.resp).Verified().Simulated() {
			t.Error("the answer does not say that it is simulated")
		}
		l.heardNothingOf(t, secret)
	}
	if got := r.size(t); got != 2 {
		t.Errorf("the log has %d leaves, want 2", got)
	}
}

// The search for secrets must find one that was sent in the clear.
func TestRecorderHearsSecrets(t *testing.T) {
	t.Parallel()
	r := &runtime{w: shared, url: "http://127.0.0.1:1"}
	l := r.newRelay(t, func(l *relay) { l.gateway = func(http.ResponseWriter, *http.Request) {} })
	secret := newSecret()
	resp, err := http.Post(l.url+"/.well-known/ohttp-gateway", "application/json", strings.NewReader(string(prompt(t, secret, false))))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if _, found := holds(l.heard.bytes(), secret); !found {
		t.Error("a secret sent in the clear was not found")
	}
}
