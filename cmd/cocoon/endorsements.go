package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
	"github.com/cocoon-go/cocoon/internal/endorse"
	"github.com/cocoon-go/cocoon/internal/vendors"
)

// fetchTimeout bounds `endorsements fetch` as a whole.
const fetchTimeout = 10 * time.Minute

var endorsementsFetchCommand = &command.Command{
	Name: "endorsements fetch", Args: "DIR", Short: "get what the vendors publish for a piece of evidence",
	Long: "Gets certificates, revocation lists, TCB infos and identities that are missing in DIR, or\n" +
		"not valid any more, from the services of the hardware vendors, or from a mirror that\n" +
		"answers their paths. Nothing is stored unless the evidence verifies with it. What is in\n" +
		"DIR and still valid is not fetched again.\n\n" +
		"Whether the policy accepts the evidence does not matter here: only its simulated roots\n" +
		"are used. Without a policy there are none.",
	Example: "cocoon endorsements fetch endorsements/ --evidence quote.bin --mirror http://127.0.0.1:8081",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var o fetchOptions
		fs.StringVar(&o.evidence, "evidence", "", "`file` with a quote, a report or a bundle")
		fs.StringVar(&o.mirror, "mirror", "", "`URL` of a mirror of the vendors' services")
		fs.StringVar(&o.policy, "policy", "", "policy `file` (default: policy.toml in the configuration directory, if there is one)")
		fs.StringVar(&o.at, "at", "", "`time` at which the documents must be valid, RFC 3339 (default: now)")
		return func(ctx context.Context, env *command.Env) error {
			if err := args(env, 1, "one directory"); err != nil {
				return err
			}
			return endorsementsFetch(ctx, env, &o)
		}
	},
}

type fetchOptions struct{ evidence, mirror, policy, at string }

func endorsementsFetch(ctx context.Context, env *command.Env, o *fetchOptions) error {
	dir := env.Args[0]
	if o.evidence == "" {
		return attestation.BadInput("--evidence names the file to get endorsements for")
	}
	at, err := timeFlag(o.at)
	if err != nil {
		return err
	}
	c := &vendors.Client{}
	if o.mirror != "" {
		if c.Mirror, err = mirrorURL(o.mirror); err != nil {
			return err
		}
	}
	v, err := rootsOnly(o.policy)
	if err != nil {
		return err
	}
	items, err := evidenceIn(o.evidence)
	if err != nil {
		return err
	}
	have, err := atHand(dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	var fresh []endorse.File
	requests := 0
	for _, i := range items {
		got, err := c.Fetch(ctx, v, i.Kind, i.Data, append(slices.Clone(have), fresh...), at)
		if err != nil {
			return err
		}
		fresh, requests = append(fresh, got.Files...), requests+got.Requests
	}
	if err := store(dir, fresh); err != nil {
		return err
	}
	return printFetched(env, dir, fresh, requests)
}

// timeFlag reads a time, now when there is none.
func timeFlag(s string) (time.Time, error) {
	if s == "" {
		return time.Now(), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, attestation.BadInput("--at: want a time like 2026-01-02T15:04:05Z, got %q", s)
	}
	return t, nil
}

func mirrorURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, attestation.BadInput("--mirror: want a URL like http://127.0.0.1:8081, got %q", s)
	}
	return u, nil
}

// rootsOnly returns a verifier with the simulated roots of a policy, or with
// none.
func rootsOnly(path string) (*attestation.Verifier, error) {
	s := settings{policy: path}
	if _, err := file(path, "policy.toml", "--policy", ""); err != nil {
		p, err := attestation.ParsePolicy([]byte(attestation.DefaultPolicyTOML()))
		if err != nil {
			return nil, err
		}
		return attestation.NewVerifier(p)
	}
	p, err := s.loadPolicy()
	if err != nil {
		return nil, err
	}
	return attestation.NewVerifier(p)
}

// evidenceIn returns the evidence in a file: of a bundle each piece, but not that
// of its TPM, for which no vendor's service has documents.
func evidenceIn(path string) ([]attestation.Item, error) {
	data, err := command.ReadFile(path, attestation.MaxBundleSize)
	if err != nil {
		return nil, err
	}
	b, bundleErr := attestation.ParseBundle(data)
	if bundleErr == nil {
		return slices.DeleteFunc(b.Evidence, func(i attestation.Item) bool { return i.Kind == attestation.KindTPM }), nil
	}
	kind := attestation.DetectKind(data)
	if kind == "" {
		return nil, notEvidence(path, data, bundleErr)
	}
	return []attestation.Item{{Kind: kind, Data: data}}, nil
}

// atHand reads what a directory holds; one that is not there yet holds nothing.
func atHand(dir string) ([]endorse.File, error) {
	fi, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !fi.IsDir() {
		return nil, attestation.BadInput("%s is not a directory", dir)
	}
	files, err := endorse.Load(dir)
	var none *attestation.UnknownError
	if errors.As(err, &none) {
		return nil, nil
	}
	return files, err
}

// store writes files; a newer document replaces the older one of its name.
func store(dir string, files []endorse.File) error {
	if len(files) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return attestation.BadInput("%w", err)
	}
	for _, f := range files {
		if err := atomicfile.Write(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
			return attestation.BadInput("%w", err)
		}
	}
	return nil
}

func printFetched(env *command.Env, dir string, files []endorse.File, requests int) error {
	names := []string{}
	for _, f := range files {
		names = append(names, f.Name)
	}
	if env.JSON {
		return env.PrintJSON(map[string]any{"directory": dir, "fetched": names, "requests": requests})
	}
	for _, n := range names {
		fmt.Fprintf(env.Stdout, "FETCHED  %s\n", n)
	}
	fmt.Fprintf(env.Stdout, "COMPLETE  the evidence verifies with %s\n", dir)
	return nil
}

var endorsementsShowCommand = &command.Command{
	Name: "endorsements show", Args: "DIR", Short: "list endorsements and until when they are valid",
	Long: "DIR is a directory, or a file. Every document is listed with what it says about itself;\n" +
		"nothing is verified. Files that hold something else are named.",
	Example: "cocoon endorsements show endorsements/",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		at := fs.String("at", "", "`time` to compare with, RFC 3339 (default: now)")
		return func(_ context.Context, env *command.Env) error {
			if err := args(env, 1, "one directory or file"); err != nil {
				return err
			}
			return endorsementsShow(env, *at)
		}
	},
}

// shownDocument is a document with the file that it is in.
type shownDocument struct {
	File string `json:"file"`
	attestation.Document
	Valid bool `json:"valid"` // at the time that was asked for
}

func endorsementsShow(env *command.Env, at string) error {
	when, err := timeFlag(at)
	if err != nil {
		return err
	}
	files, other, err := endorse.Scan(env.Args[0])
	if err != nil {
		return err
	}
	docs := []shownDocument{}
	for _, f := range files {
		set, err := endorse.Set([]endorse.File{f})
		if err != nil {
			return err
		}
		for _, d := range set.Documents() {
			docs = append(docs, shownDocument{f.Name, d, d.InForce(when)})
		}
	}
	slices.SortStableFunc(docs, func(a, b shownDocument) int {
		return cmp.Or(cmp.Compare(a.Vendor, b.Vendor), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Subject, b.Subject))
	})
	if env.JSON {
		return env.PrintJSON(map[string]any{"trusted": false, "at": when.UTC(), "documents": docs, "other_files": append([]string{}, other...)})
	}
	fmt.Fprintf(env.Stdout, "NOT VERIFIED: this is what the documents say about themselves; validity at %s\n", when.UTC().Format(time.RFC3339))
	w := tabwriter.NewWriter(env.Stdout, 0, 4, 2, ' ', 0)
	for _, d := range docs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\tuntil %s\t%s\n", d.state(when), d.Vendor, d.Kind, d.Subject, d.NotAfter.Format(time.RFC3339), d.File)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, o := range other {
		fmt.Fprintf(env.Stdout, "OTHER  %s\n", o)
	}
	return nil
}

func (d *shownDocument) state(at time.Time) string {
	switch {
	case d.Valid:
		return "VALID"
	case at.Before(d.NotBefore):
		return "NOT YET"
	}
	return "EXPIRED"
}
