package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
)

// Waits around an enclave's process.
const (
	bootTimeout = 2 * time.Minute  // until it says where it listens
	loadTimeout = 30 * time.Minute // the same when an engine beside it has a model to load
	stopTimeout = 10 * time.Second // to end by itself
)

// process is an enclave that runs beside the host: never in its address space.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer // closing it tells the enclave to end; so does the host's death
	url   *url.URL
	done  chan struct{}
	err   error // after done
	http  *http.Client
}

// logRoom is how much must fit on the disk of the log before an enclave boots, in
// bytes: some thousand receipts.
const logRoom = 1 << 20

// room reports why a directory can't take size bytes more. An enclave that boots
// on a full disk would be registered, and paid for, to fail at its first answer.
func room(dir string, size int) error {
	f, err := os.CreateTemp(dir, ".room-*")
	if err != nil {
		return attestation.Unknown("nothing can be written to the log's directory: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(make([]byte, size))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return attestation.Unknown("the disk of the log has no room: make some, and keep what is there: %w", err)
	}
	return nil
}

// configuration returns the measured configuration of this node's enclave, which
// trusts the block t.
func (n *node) configuration(chainID int32, t chain.BlockID) []byte {
	engine := n.Engine
	if len(engine) == 0 {
		engine = []byte("engine = \"embedded\"\n")
	}
	head, tables, _ := bytes.Cut(engine, []byte("\n"))
	return fmt.Appendf(nil, `version = 1
chain_id = %d
registry = %q
node = %q
%s

[trusted_block]
seqno = %d
root_hash = "%x"
file_hash = "%x"

%s`, chainID, n.Registry.String(), n.op.Node.String(), head, t.Seqno, t.RootHash, t.FileHash, tables)
}

// start runs the enclave's program and waits until it says where it listens.
func (n *node) start(ctx context.Context) (*process, error) {
	if err := room(filepath.Join(n.Dir, LogDir), logRoom); err != nil {
		return nil, err
	}
	args, err := n.arguments(ctx)
	if err != nil {
		return nil, err
	}
	p, first, err := launch(n.Program, args)
	if err != nil {
		return nil, attestation.BadInput("starting the enclave: %w", err)
	}
	limit := bootTimeout
	if len(n.Engine) > 0 {
		limit = loadTimeout
	}
	if err := p.listen(ctx, first, limit); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// arguments writes the files of a boot and returns what the program is called with.
func (n *node) arguments(ctx context.Context) ([]string, error) {
	chainID, err := n.op.Client.ChainID(ctx)
	if err != nil {
		return nil, err
	}
	// Every boot starts from a key block that this process has proved: the one of
	// the operator's file gets too old while it runs.
	trusted := n.op.Client.KeyBlock()
	ton, err := n.ton.Renew(trusted)
	if err != nil {
		return nil, err
	}
	args := []string{"run", "--data", filepath.Join(n.Dir, LogDir), "--listen", "127.0.0.1:0"}
	for _, f := range []struct {
		flag, name string
		data       []byte
	}{
		{"--config", "enclave.toml", n.configuration(chainID, trusted)}, {"--ton-config", "ton-global.json", ton}, {"--endorsements", "endorsements.cbor", n.given()},
	} {
		if f.data == nil {
			continue
		}
		path := filepath.Join(n.Dir, f.name)
		if err := atomicfile.Write(path, f.data, 0o600); err != nil {
			return nil, err
		}
		args = append(args, f.flag, path)
	}
	if n.Simulated != "" {
		return append(args, "--simulated", n.Simulated), nil
	}
	return append(args, "--device", n.Device), nil
}

// given returns the endorsements that the enclave gets, nil when there are none.
func (n *node) given() []byte {
	if len(n.Endorsements) == 0 {
		return nil
	}
	return n.own.encoded()
}

// launch starts the program. The channel gets the first line that it says.
func launch(program string, args []string) (p *process, first <-chan string, err error) {
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr // its log; never holds anything of a request
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	p = &process{cmd: cmd, stdin: stdin, done: make(chan struct{}), http: &http.Client{Timeout: 10 * time.Second, CheckRedirect: stay}}
	line := make(chan string, 1)
	go func() {
		s := bufio.NewScanner(stdout)
		if s.Scan() { // a line of more than 64 KiB is none
			line <- s.Text()
		}
		_, _ = io.Copy(io.Discard, stdout) // or it could not write, and would hang
		p.err = cmd.Wait()
		if p.err == nil {
			p.err = errors.New("it ended by itself")
		}
		close(p.done)
	}()
	return p, line, nil
}

// listen waits until the process has said where it listens.
func (p *process) listen(ctx context.Context, first <-chan string, limit time.Duration) (err error) {
	over := time.NewTimer(limit)
	defer over.Stop()
	select {
	case line := <-first:
		p.url, err = listening(line)
		return err
	case <-p.done:
		select {
		case line := <-first: // it said why, and ended
			if _, err = listening(line); err != nil {
				return err
			}
		default:
		}
		return &bootError{err: p.err}
	case <-over.C:
		return attestation.Unknown("the enclave did not boot within %s: its log says how far it came", limit)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listening reads what an enclave says first: where it listens, or that it refuses
// what it was started with, a [*bootError]. Only this machine is relayed to, whatever
// it says.
func listening(line string) (*url.URL, error) {
	if quoted, ok := strings.CutPrefix(line, "refused "); ok {
		if why, err := strconv.Unquote(quoted); err == nil {
			return nil, &bootError{refused: true, err: errors.New(printable(why))}
		}
	}
	text, ok := strings.CutPrefix(line, "listening on ")
	addr, err := netip.ParseAddrPort(text)
	if !ok || err != nil || !addr.Addr().IsLoopback() {
		return nil, fmt.Errorf("the enclave said %.80q instead of where on this machine it listens", line)
	}
	return &url.URL{Scheme: "http", Host: addr.String()}, nil
}

// printable replaces what could do something to a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// stay refuses to be sent elsewhere: an enclave or a relay has no business with
// what else this machine can reach.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// bootError says that an enclave ended before it listened. Nothing was
// registered for it.
type bootError struct {
	refused bool  // by itself, what it was started with
	err     error // then its own words
}

func (e *bootError) Error() string {
	if e.refused {
		return fmt.Sprintf("the enclave refuses its configuration: %v", e.err)
	}
	return fmt.Sprintf("the enclave did not boot: %v", e.err)
}

// lasting returns the error to end with when the same again would end the same,
// else nil: by what it said, or by the exit code (docs/spec/exit-codes.md). Where an
// enclave has served, a refusal is of files that were changed since, and may be
// mended while the host does the rest of its work.
func (e *bootError) lasting(served bool) error {
	if e.refused {
		if served {
			return nil
		}
		return attestation.BadInput("%w", e)
	}
	var exit *exec.ExitError
	if !errors.As(e.err, &exit) {
		return nil
	}
	switch exit.ExitCode() {
	case 4:
		return attestation.Refused("%w; its own words are above", e)
	case 5:
		return attestation.ChainDisagrees("%w; its own words are above", e)
	}
	return nil
}

// stop ends the process and waits for it.
func (p *process) stop() {
	p.stdin.Close()
	select {
	case <-p.done:
		return
	case <-time.After(stopTimeout):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// get reads one of the enclave's public files.
func (p *process) get(ctx context.Context, path string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url.String()+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, attestation.Unknown("asking the enclave: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, attestation.Unknown("the enclave answers %d to a request for %s", resp.StatusCode, path)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	if err != nil {
		return nil, attestation.Unknown("reading %s from the enclave: %w", path, err)
	}
	return data, nil
}

// EnclaveState is what an enclave says about itself on its loopback port.
type EnclaveState struct {
	State    string `json:"state"`
	Epoch    uint32 `json:"epoch"`
	Refusing string `json:"refusing,omitempty"` // why no request may start
	Head     uint32 `json:"head"`               // latest proved masterchain block
	Anchored uint64 `json:"anchored"`           // leaves that the chain covers
	Size     uint64 `json:"size"`               // leaves of the log
}

// await waits until the enclave says that it is in a state. While it is not, the log
// says from time to time what it says instead.
func (p *process) await(ctx context.Context, state string, log *slog.Logger) error {
	tell := time.NewTicker(tellInterval)
	defer tell.Stop()
	var looks chain.Looks
	for {
		s, err := p.state(ctx)
		if err == nil && s.State == state {
			return nil
		}
		select {
		case <-tell.C:
			log.Warn("the enclave is registered, and does not serve yet", "state", s.State, "refusing", s.Refusing, "err", err)
		default:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.done:
			return p.err
		case <-time.After(looks.Next()):
		}
	}
}

// tellInterval is between two lines in the log about something that is awaited.
const tellInterval = time.Minute

func (p *process) state(ctx context.Context) (s EnclaveState, err error) {
	data, err := p.get(ctx, "/.well-known/cocoon/state", 1<<16)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, attestation.Unknown("what the enclave says about itself can't be read: %w", err)
	}
	return s, nil
}
