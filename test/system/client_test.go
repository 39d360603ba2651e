package system

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/tidwall/gjson"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/client"
)

// user is a real client with one node behind one relay, and what it kept.
type user struct {
	*client.Client
	mu   sync.Mutex
	kept []*receipt.File
}

// newUser returns a client of the node behind a relay.
func (r *runtime) newUser(t testing.TB, l *relay, change ...func(*client.Config)) *user {
	t.Helper()
	return r.w.newUser(t, r.node, l.url, change...)
}

func (w *world) newUser(t testing.TB, node attestation.Address, relay string, change ...func(*client.Config)) *user {
	t.Helper()
	u := &user{}
	cfg := client.Config{
		Policy: w.policy(t), Chain: w.client, Registry: w.net.Registry,
		Nodes:     []attestation.Address{node},
		Endpoints: map[attestation.Address]string{node: relay},
		Keep: func(f *receipt.File, _ *client.Node) error {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.kept = append(u.kept, f)
			return nil
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	u.Client = c
	t.Cleanup(c.CloseIdleConnections)
	return u
}

func (u *user) receipts() []*receipt.File {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]*receipt.File(nil), u.kept...)
}

// newSecret returns a prompt that appears nowhere else.
func newSecret() string { return "diagnosis " + strings.ToLower(rand.Text()) }

// prompt is the body of a chat request that holds a secret.
func prompt(t testing.TB, secret string, stream bool) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{
		"messages": []map[string]string{{"role": "user", "content": secret}},
		"stream":   stream, "max_tokens": 64, "temperature": 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// send sends a chat request and returns the response unread.
func (u *user) send(ctx context.Context, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://cocoon.invalid/v1/chat/completions", body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return u.RoundTrip(req)
}

// answer is what a request came to.
type answer struct {
	resp *http.Response
	body []byte // what was read before err
}

// ask sends a chat request and reads the answer to its end. The error is that
// of the request or of reading.
func (u *user) ask(t testing.TB, secret string, stream bool) (answer, error) {
	t.Helper()
	resp, err := u.send(testContext(t), bytes.NewReader(prompt(t, secret, stream)))
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp, body}, err
}

// mustAsk is ask for requests that have to work: the answer is complete, and
// its receipt was kept.
func (u *user) mustAsk(t testing.TB, secret string) *receipt.File {
	t.Helper()
	a, err := u.ask(t, secret, false)
	if err != nil {
		t.Fatalf("an honest request failed: %v", err)
	}
	f := client.ReceiptOf(a.resp)
	if a.resp.StatusCode != http.StatusOK || f == nil || f.Receipt.Body.Finish == receipt.Failed {
		t.Fatalf("an honest request gave status %d, receipt %v: %s", a.resp.StatusCode, f, a.body)
	}
	return f
}

// family is one of the families of failure, with its exit code.
type family int

const (
	badInput family = 1
	isFalse  family = 2
	unknown  family = 3
	refused  family = 4
	chainSay family = 5
)

func (f family) is(err error) bool {
	var (
		i *attestation.InputError
		l *attestation.FalseError
		u *attestation.UnknownError
		r *attestation.RefusedError
		c *attestation.ChainError
	)
	switch f {
	case badInput:
		return errors.As(err, &i)
	case isFalse:
		return errors.As(err, &l)
	case unknown:
		return errors.As(err, &u)
	case refused:
		return errors.As(err, &r)
	}
	return errors.As(err, &c)
}

// wantError checks an error as a user meets it: family, exit code, and a
// sentence that says what the test expects and gives no secret away.
func wantError(t testing.TB, err error, want family, secret string, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one of exit code %d that says %q", want, says)
	}
	if code := attestation.ExitCode(err); code != int(want) || !want.is(err) {
		t.Errorf("exit code %d, want %d: %v", code, want, err)
	}
	text := err.Error()
	for _, s := range says {
		if !strings.Contains(text, s) {
			t.Errorf("error does not say %q: %s", s, text)
		}
	}
	readable := func(r rune) bool { return r == '\n' || unicode.IsPrint(r) }
	if strings.Contains(text, "%!") || strings.IndexFunc(text, func(r rune) bool { return !readable(r) }) >= 0 ||
		len(text) > 4096 || !strings.Contains(text, " ") {
		t.Errorf("error is not a sentence for people: %q", text)
	}
	if secret != "" {
		if what, found := holds([]byte(text), secret); found {
			t.Errorf("error gives away %s of the prompt", what)
		}
	}
}

func replaceOnce(t testing.TB, s, old, new string) string {
	t.Helper()
	if strings.Count(s, old) != 1 {
		t.Fatalf("%q is there %d times", old, strings.Count(s, old))
	}
	return strings.Replace(s, old, new, 1)
}

// field returns a text of a JSON answer.
func field(t testing.TB, body []byte, path string) string {
	t.Helper()
	v := gjson.GetBytes(body, path)
	if v.Type != gjson.String {
		t.Fatalf("no text %s in %s", path, body)
	}
	return v.String()
}

// streamed returns the content of a streamed chat answer, as far as it goes.
func streamed(t testing.TB, body []byte) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(string(body)) {
		if data, ok := strings.CutPrefix(line, "data: {"); ok && strings.HasSuffix(line, "\n") {
			out.WriteString(gjson.Get("{"+data, "choices.0.delta.content").String())
		}
	}
	return out.String()
}
