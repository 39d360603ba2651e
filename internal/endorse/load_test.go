package endorse

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
)

// certificate looks like an endorsement.
const certificate = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"

// tree writes files, given as names and contents; a name with an arrow is a link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if name, to, link := strings.Cut(name, " -> "); link {
			if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestScan: endorsements in a directory and below it, by what they hold.
func TestScan(t *testing.T) {
	set, err := Encode([]File{{"in-set.pem", []byte(certificate)}})
	if err != nil {
		t.Fatal(err)
	}
	dir := tree(t, map[string]string{
		"a.pem": certificate, "sub/b.json": `{"tcbInfo":{}}`, "set.cbor": string(set), "list.txt": " 3082000A0000\n",
		"README.md": "hello", "report.bin": "\x02\x00\x00", "other.json": `{"a":1}`, "empty": "", "key.pem": "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
		".hidden.pem": certificate, ".git/x.pem": certificate, "1/2/3/4/5/deep.pem": certificate,
		"link.pem -> a.pem": "", "links -> sub": "",
	})
	files, other, err := Scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "a.pem link.pem list.txt in-set.pem sub_b.json" {
		t.Errorf("files %s", got)
	}
	if got := strings.Join(other, " "); got != "README.md empty key.pem other.json report.bin" {
		t.Errorf("other files %s", got)
	}
	if _, err := Encode(files); err != nil {
		t.Errorf("the names are not fit for a set: %v", err)
	}
	loaded, err := Load(dir)
	if err != nil || len(loaded) != len(files) {
		t.Errorf("%v, %v", loaded, err)
	}
}

// TestLoadOne: a file that the caller names is taken whatever it holds, so that
// what is wrong with it is said.
func TestLoadOne(t *testing.T) {
	dir := tree(t, map[string]string{"README.md": "hello", "a.pem": certificate})
	for _, n := range []string{"README.md", "a.pem"} {
		fs, err := Load(filepath.Join(dir, n))
		if err != nil || len(fs) != 1 || fs[0].Name != n {
			t.Errorf("%s: %v, %v", n, fs, err)
		}
	}
	if _, err := Set([]File{{"README.md", []byte("hello")}}); fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), "README.md") {
		t.Errorf("%v", err)
	}
}

func TestLoadRefused(t *testing.T) {
	many := map[string]string{}
	for i := range maxLoadFiles + 1 {
		many[fmt.Sprintf("%d.txt", i)] = "x"
	}
	big := map[string]string{}
	for i := range maxLoadSize/attestation.MaxEndorsementSize + 1 {
		big[fmt.Sprintf("%d.pem", i)] = certificate + strings.Repeat(" ", attestation.MaxEndorsementSize-len(certificate))
	}
	for name, c := range map[string]struct {
		path   string
		family fault.Family
		want   string
	}{
		"nothing there":  {filepath.Join(t.TempDir(), "none"), fault.FamilyInput, "no such file"},
		"empty":          {t.TempDir(), fault.FamilyUnknown, "holds no endorsements"},
		"others only":    {tree(t, map[string]string{"a": "hello", "b": "x"}), fault.FamilyUnknown, "2 files of other kinds"},
		"too large":      {tree(t, map[string]string{"a.pem": certificate + strings.Repeat(" ", attestation.MaxEndorsementSize)}), fault.FamilyInput, "more than 4194304 bytes"},
		"too many":       {tree(t, many), fault.FamilyInput, "more than 1024 files"},
		"too many bytes": {tree(t, big), fault.FamilyInput, "67108864 bytes of endorsements"},
		"broken set":     {tree(t, map[string]string{"a.cbor": string(setPrefix) + "x"}), fault.FamilyInput, "endorsements"},
		"dangling link":  {tree(t, map[string]string{"a.pem -> none": ""}), fault.FamilyInput, "no such file"},
	} {
		if fs, err := Load(c.path); fault.FamilyOf(err) != c.family || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", name, fs, err)
		}
	}
}
