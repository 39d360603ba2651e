package main

import (
	"encoding/xml"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
)

// page runs verify evidence and returns the page.
func (m *machine) page(code int, words ...string) string {
	m.t.Helper()
	at := judged.Format(time.RFC3339)
	out, _ := m.run(code, append([]string{"verify", "evidence", "@quote.bin", "--policy", "@policy.toml", "--at", at, "--html"}, words...)...)
	return out
}

// TestHTML: one page that stands alone, for every kind of result.
func TestHTML(t *testing.T) {
	m := newMachine(t)
	m.fetch(0)
	good := m.page(0, "--endorsements", "@docs")
	for _, want := range []string{"<h1>ACCEPTED</h1>", "SIMULATED.", "virtual machine protected by Intel TDX", "<td>UpToDate</td>", "no: debugging is off",
		"What was not checked", "side channels", "tdx.debug", "<code>mrtd</code>", "quote.bin", "20 November 2026, 12:00:00 UTC"} {
		if !strings.Contains(good, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	standsAlone(t, good)
	unknown := m.page(3)
	if !strings.Contains(unknown, "<h1>COULD NOT FIND OUT</h1>") || !strings.Contains(unknown, "neither that it is good nor that it is false") || strings.Contains(unknown, "The machine</h2>") {
		t.Error("page without endorsements:", unknown)
	}
	m.write("strict.toml", []byte(attestation.DefaultPolicyTOML()))
	refused := m.page(2, "--endorsements", "@docs", "--policy", "@strict.toml")
	if !strings.Contains(refused, "<h1>FALSE</h1>") {
		t.Error("page of a simulated root that the policy does not name:", refused)
	}
	standsAlone(t, refused)
}

// standsAlone: a page is well formed, and needs and runs nothing else.
func standsAlone(t *testing.T, page string) {
	t.Helper()
	if bad := regexp.MustCompile(`(?i)<script|<iframe|<img|<link|javascript:|src=|href=|url\(|@import|https?://[^<]*\.(css|js|png)`).FindString(page); bad != "" {
		t.Errorf("the page has %q", bad)
	}
	if !strings.Contains(page, `default-src 'none'`) {
		t.Error("the page allows more than its style")
	}
	body := page[strings.Index(page, "<body>"):strings.LastIndex(page, "</html>")]
	d := xml.NewDecoder(strings.NewReader(body))
	d.Entity = xml.HTMLEntity
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("not well formed: %v", err)
		}
	}
}

// TestHTMLEscaped: what a file says or is called is text, never markup.
func TestHTMLEscaped(t *testing.T) {
	v := attestation.FailedVerdict("tdx", judged, attestation.False(`<script>alert("1")</script>`))
	b, err := htmlPage(`<b>"&.bin`, []byte("x"), v, v.Err())
	if err != nil {
		t.Fatal(err)
	}
	standsAlone(t, string(b))
	if !strings.Contains(string(b), "&lt;script&gt;") || strings.Contains(string(b), "<b>") {
		t.Errorf("%s", b)
	}
}

// TestHTMLFile: the page goes where it is told, and nothing is overwritten.
func TestHTMLFile(t *testing.T) {
	m := newMachine(t)
	m.fetch(0)
	at := judged.Format(time.RFC3339)
	verify := func(code int, words ...string) (string, string) {
		return m.run(code, append([]string{"verify", "evidence", "--policy", "@policy.toml", "--at", at, "--endorsements", "@docs"}, words...)...)
	}
	for _, words := range [][]string{{"@quote.bin", "--html", "@1.html"}, {"--html", "@2.html", "@quote.bin"}, {"--html=" + m.path("3.html"), "@quote.bin"}} {
		out, _ := verify(0, words...)
		if !strings.Contains(out, "ACCEPTED  TDX evidence") {
			t.Errorf("%q: %s", words, out)
		}
	}
	for _, name := range []string{"1.html", "2.html", "3.html"} {
		b, err := os.ReadFile(m.path(name))
		if err != nil || !strings.Contains(string(b), "<h1>ACCEPTED</h1>") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if out, _ := verify(0, "@quote.bin", "--json", "--html", "@4.html"); !strings.HasPrefix(out, "{") {
		t.Errorf("JSON beside the page: %s", out)
	}
	if _, errs := verify(1, "@quote.bin", "--html", "@1.html"); !strings.Contains(errs, "nothing is overwritten") {
		t.Error(errs)
	}
	if _, errs := verify(1, "@quote.bin", "--html", "--json"); !strings.Contains(errs, "name a file for the page") {
		t.Error(errs)
	}
	if _, errs := verify(1, "@quote.bin", "--html", "@other.txt"); !strings.Contains(errs, "want one file, got 2") {
		t.Error(errs)
	}
	if out, _ := verify(0, "@quote.bin", "--html=false"); !strings.Contains(out, "ACCEPTED  TDX evidence") {
		t.Error(out)
	}
}
