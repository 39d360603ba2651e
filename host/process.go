package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

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
	file, tonFile := filepath.Join(n.Dir, "enclave.toml"), filepath.Join(n.Dir, "ton-global.json")
	if err := errors.Join(atomicfile.Write(file, n.configuration(chainID, trusted), 0o600), atomicfile.Write(tonFile, ton, 0o600)); err != nil {
		return nil, err
	}
	args := []string{"run", "--config", file, "--ton-config", tonFile, "--data", filepath.Join(n.Dir, LogDir), "--listen", "127.0.0.1:0"}
	if n.Simulated != "" {
		args = append(args, "--simulated", n.Simulated)
	} else {
		args = append(args, "--device", n.Device)
	}
	if len(n.Endorsements) > 0 {
		file := filepath.Join(n.Dir, "endorsements.cbor")
		if err := atomicfile.Write(file, n.own.encoded(), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--endorsements", file)
	}
	cmd := exec.Command(n.Program, args...)
	cmd.Stderr = os.Stderr // its log; never holds anything of a request
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, attestation.BadInput("starting the enclave: %w", err)
	}
	p := &process{cmd: cmd, stdin: stdin, done: make(chan struct{}), http: &http.Client{Timeout: 10 * time.Second, CheckRedirect: stay}}
	lines := make(chan string, 1)
	go func() {
		s := bufio.NewScanner(stdout)
		for s.Scan() {
			select {
			case lines <- s.Text():
			default: // only the first line matters
			}
		}
		p.err = cmd.Wait()
		if p.err == nil {
			p.err = errors.New("it ended by itself")
		}
		close(p.done)
	}()
	limit := bootTimeout
	if len(n.Engine) > 0 {
		limit = loadTimeout
	}
	select {
	case line := <-lines:
		if p.url, err = listening(line); err != nil {
			p.stop()
			return nil, err
		}
		return p, nil
	case <-p.done:
		return nil, &bootError{p.err}
	case <-time.After(limit):
		p.stop()
		return nil, fmt.Errorf("the enclave did not boot within %s", limit)
	case <-ctx.Done():
		p.stop()
		return nil, ctx.Err()
	}
}

// listening reads what an enclave says first. Only this machine is relayed to,
// whatever it says.
func listening(line string) (*url.URL, error) {
	text, ok := strings.CutPrefix(line, "listening on ")
	addr, err := netip.ParseAddrPort(text)
	if !ok || err != nil || !addr.Addr().IsLoopback() {
		return nil, fmt.Errorf("the enclave said %.80q instead of where on this machine it listens", line)
	}
	return &url.URL{Scheme: "http", Host: addr.String()}, nil
}

// stay refuses to be sent elsewhere: an enclave or a relay has no business with
// what else this machine can reach.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// bootError says that an enclave ended before it listened. Nothing was
// registered for it.
type bootError struct{ err error }

func (e *bootError) Error() string { return fmt.Sprintf("the enclave did not boot: %v", e.err) }

// lasting returns the error to end with when the same again would end the same,
// by the exit code (docs/spec/exit-codes.md), else nil.
func (e *bootError) lasting() error {
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

// await waits until the enclave says that it is in a state.
func (p *process) await(ctx context.Context, state string) error {
	for {
		var s EnclaveState
		data, err := p.get(ctx, "/.well-known/cocoon/state", 1<<16)
		if err == nil {
			err = json.Unmarshal(data, &s)
		}
		if err == nil && s.State == state {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.done:
			return p.err
		case <-time.After(pollInterval):
		}
	}
}
