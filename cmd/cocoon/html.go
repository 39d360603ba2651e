package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/command"
)

// htmlFlag is --html: alone it prints the page; followed by a file, it writes
// it there.
type htmlFlag struct {
	on   bool
	path string
}

const htmlUsage = "write a page for people, to `PAGE.html` or, without a name, to standard output"

func (h *htmlFlag) String() string   { return "" }
func (h *htmlFlag) IsBoolFlag() bool { return true }

func (h *htmlFlag) Set(s string) error {
	h.on = s != "false"
	if s != "true" && s != "false" {
		h.path = s
	}
	return nil
}

// take takes the name of the page out of the arguments: of two, the one that
// ends in .html.
func (h *htmlFlag) take(args []string) []string {
	if !h.on || h.path != "" || len(args) != 2 {
		return args
	}
	i := slices.IndexFunc(args, func(s string) bool { return strings.HasSuffix(s, ".html") })
	if i < 0 {
		return args
	}
	h.path = args[i]
	return slices.Delete(slices.Clone(args), i, i+1)
}

// check refuses what can't be done before anything is done.
func (h *htmlFlag) check(env *command.Env) error {
	if h.on && h.path == "" && env.JSON {
		return attestation.BadInput("--json and --html both print: name a file for the page")
	}
	if h.path == "" {
		return nil
	}
	if _, err := os.Stat(h.path); !errors.Is(err, fs.ErrNotExist) {
		return command.Exists(h.path)
	}
	return nil
}

// write writes the page of a verdict that ended in err. It reports whether
// standard output is used up by it.
func (h *htmlFlag) write(env *command.Env, name string, data []byte, v *attestation.Verdict, err error) (printed bool, werr error) {
	if !h.on {
		return false, nil
	}
	page, werr := htmlPage(name, data, v, err)
	if werr != nil {
		return false, werr
	}
	if h.path != "" {
		return false, command.CreateFile(h.path, page, 0o644)
	}
	_, werr = env.Stdout.Write(page)
	return true, werr
}

//go:embed verdict.html
var verdictHTML string

var verdictPage = template.Must(template.New("verdict").Parse(verdictHTML))

type pageRow struct{ Name, Value string }

type pageCheck struct{ Class, Word, Rule, Text, Expected, Got string }

// pageData is what the page shows.
type pageData struct {
	Word, Class, Meaning string
	Simulated            bool
	File, SHA256, At     string
	Bytes                int
	Machine              []pageRow
	Refusals             []string
	Checks               []pageCheck
	NotChecked           []string
	Facts                []pageRow
	Version              string
}

func htmlPage(name string, data []byte, v *attestation.Verdict, err error) ([]byte, error) {
	d := &pageData{
		Word: resultWord(err, "ACCEPTED"), Simulated: v.Simulated, File: filepath.Base(name), SHA256: fmt.Sprintf("%x", sha256.Sum256(data)),
		Bytes: len(data), At: v.At.UTC().Format("2 January 2006, 15:04:05 UTC"), Refusals: v.Refusals, NotChecked: v.NotChecked,
		Machine: machineRows(v), Version: command.Version(),
	}
	d.Class, d.Meaning = meaning(attestation.ExitCode(err))
	for _, c := range v.Checks {
		k := pageCheck{"good", "holds", c.Rule, c.Text, c.Expected, c.Got}
		switch c.Outcome {
		case attestation.Fail:
			k.Class, k.Word = "bad", "does not hold"
		case attestation.NotSure:
			k.Class, k.Word = "unsure", "not known"
		}
		d.Checks = append(d.Checks, k)
	}
	var ferr error
	if d.Facts, ferr = factRows(v); ferr != nil {
		return nil, ferr
	}
	var b bytes.Buffer
	ferr = verdictPage.Execute(&b, d)
	return b.Bytes(), ferr
}

// meaning says what a result means for somebody who does not know the words.
func meaning(code int) (class, text string) {
	switch code {
	case 0:
		return "good", "The evidence is genuine, and everything that the policy demands holds."
	case 2:
		return "bad", "The evidence is false. Something in it was changed, invented, or belongs to something else. Do not trust this machine."
	case 3:
		return "unsure", "It could not be found out whether the evidence is good: something that is needed is missing or too old. This says neither that it is good nor that it is false."
	case 4:
		return "bad", "The evidence is genuine, but the machine is not one that the policy accepts."
	case 5:
		return "bad", "The chain says something else than the evidence."
	}
	return "bad", "The file could not be read as evidence."
}

// machineRows are the facts that matter to most people, in words.
func machineRows(v *attestation.Verdict) []pageRow {
	f := v.Facts
	if f == nil {
		return nil
	}
	rows := []pageRow{{"Kind", kindWords[v.Kind]}}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, pageRow{name, value})
		}
	}
	if i := f.IntelVerdict; i != nil {
		add("Intel rates it", i.TCBStatus)
		add("Level of", i.TCBDate)
		add("Advisories", strings.Join(i.Advisories, ", "))
	}
	if a := f.AMDVerdict; a != nil {
		add("Processor", a.Product)
		add("Firmware", fmt.Sprintf("boot loader %d, TEE %d, SNP %d, microcode %d", a.ReportedTCB.Bootloader, a.ReportedTCB.TEE, a.ReportedTCB.SNP, a.ReportedTCB.Microcode))
	}
	for i, g := range f.GPUs {
		add(fmt.Sprintf("GPU or switch %d", i+1), fmt.Sprintf("%s, driver %s, firmware %s, %s", g.Model, cmp.Or(g.Driver, "none"), cmp.Or(g.VBIOS, "none"),
			goldenWords(g)))
	}
	if f.IntelVerdict != nil || f.AMDVerdict != nil {
		add("Can its owner look inside?", map[bool]string{true: "YES: debugging is on", false: "no: debugging is off"}[f.Debug])
	}
	add("Code that runs (measurement)", f.Measurement)
	add("Machine (id)", f.Platform)
	if f.NotAfter != "" {
		add("Documents valid", f.NotBefore+" to "+f.NotAfter)
	}
	add("Vendor's root", f.Root)
	return rows
}

// goldenWords says what is known about a device's firmware.
func goldenWords(g attestation.DeviceVerdict) string {
	switch {
	case g.Golden:
		return "as NVIDIA published it"
	case len(g.Mismatches) > 0:
		return "NOT as NVIDIA published it"
	case g.Source == "nras":
		return "not compared here: NVIDIA's remote service says that it is good"
	}
	return "NOT compared with what NVIDIA published"
}

var kindWords = map[string]string{
	attestation.KindTDX: "virtual machine protected by Intel TDX", attestation.KindSNP: "virtual machine protected by AMD SEV-SNP",
	attestation.KindSGX: "enclave protected by Intel SGX", attestation.KindNVIDIA: "NVIDIA GPU in confidential mode", attestation.KindTPM: "TPM 2.0",
	attestation.KindNRAS: "NVIDIA devices, by the word of NVIDIA's remote attestation service",
}

// factRows are all facts, under the names that they have in JSON.
func factRows(v *attestation.Verdict) ([]pageRow, error) {
	if v.Facts == nil {
		return nil, nil
	}
	b, err := json.Marshal(v.Facts)
	if err != nil {
		return nil, err
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	var rows []pageRow
	for _, k := range slices.Sorted(maps.Keys(m)) {
		value := string(m[k])
		var s string
		if json.Unmarshal(m[k], &s) == nil {
			value = s
		}
		rows = append(rows, pageRow{k, value})
	}
	return rows, nil
}
