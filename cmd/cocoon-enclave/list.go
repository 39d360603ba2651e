package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/enclave/device"
	"github.com/cocoon-go/cocoon/internal/command"
)

var gpusCommand = &command.Command{
	Name: "gpus", Short: "show the GPUs of this machine, and write their evidence",
	Long: "Shows what the driver says: nothing of it is verified. --out has every GPU sign a random\n" +
		"number and writes the evidence, for `cocoon verify evidence` and for `cocoon endorsements\n" +
		"fetch`, which gets the documents that run --endorsements needs. The GPUs are not set ready.\n" +
		"Ends with exit code 4 when they are not in confidential mode.",
	Example: "cocoon-enclave gpus --out gpus.json",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		simulated := fs.String("simulated", "", "`directory` of a simulated platform instead of hardware")
		out := fs.String("out", "", "`file` to write the evidence to")
		return func(ctx context.Context, env *command.Env) error { return gpus(ctx, env, *simulated, *out) }
	},
}

// gpuList is what `gpus --json` prints.
type gpuList struct {
	Simulated    bool      `json:"simulated"`
	Mode         string    `json:"mode"`
	Confidential bool      `json:"confidential"` // it could be used, as far as the driver can tell
	Ready        bool      `json:"ready"`        // the GPUs accept work
	GPUs         []gpuLine `json:"gpus"`
}

type gpuLine struct {
	UUID   string `json:"uuid"`
	Name   string `json:"name"`
	Driver string `json:"driver"`
	VBIOS  string `json:"vbios"`
}

func gpus(ctx context.Context, env *command.Env, simulated, out string) error {
	open := device.OpenGPUs
	if simulated != "" {
		open = func() (device.GPUs, error) { return simulatedGPUs(simulated) }
	}
	g, err := open()
	if err != nil {
		return err
	}
	defer g.Close()
	mode, err := g.Mode(ctx)
	if err != nil {
		return err
	}
	list, err := g.List(ctx)
	if err != nil {
		return err
	}
	refused := mode.Check()
	v := gpuList{Simulated: simulated != "", Mode: mode.String(), Confidential: refused == nil, GPUs: []gpuLine{}}
	if refused == nil {
		if v.Ready, err = g.Ready(ctx); err != nil {
			return err
		}
	}
	for _, d := range list {
		v.GPUs = append(v.GPUs, gpuLine(d.Info()))
	}
	if refused == nil && out != "" {
		if err := writeEvidence(ctx, list, out); err != nil {
			return err
		}
	}
	if refused != nil && env.JSON {
		return refused // the one object is the error
	}
	return errors.Join(printGPUs(env, &v), refused)
}

func printGPUs(env *command.Env, v *gpuList) error {
	if env.JSON {
		return env.PrintJSON(v)
	}
	w := env.Stdout
	if v.Simulated {
		fmt.Fprintln(w, "SIMULATED: these GPUs protect nothing")
	}
	fmt.Fprintf(w, "%d GPUs and switches, %s, accept work: %t\n", len(v.GPUs), v.Mode, v.Ready)
	for _, d := range v.GPUs {
		fmt.Fprintf(w, "%s  %s  driver %s  VBIOS %s\n", d.UUID, d.Name, or(d.Driver), or(d.VBIOS))
	}
	return nil
}

func or(s string) string {
	if s == "" {
		return "not said"
	}
	return s
}

// fileDevice is one device in the JSON of NVIDIA's tools, which nvidia.ParseFile
// reads.
type fileDevice struct {
	Evidence    []byte `json:"evidence"`
	Certificate []byte `json:"certificate"`
}

// writeEvidence has all devices sign one random nonce.
func writeEvidence(ctx context.Context, list []device.GPU, path string) error {
	var nonce [32]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return err
	}
	devices := []fileDevice{}
	for _, d := range list {
		ev, err := d.Evidence(ctx, nonce)
		if err != nil {
			return err
		}
		devices = append(devices, fileDevice{ev.Report, chainPEM(ev)})
	}
	data, err := json.MarshalIndent(devices, "", "  ")
	if err != nil {
		return err
	}
	return command.CreateFile(path, append(data, '\n'), 0o644)
}

func chainPEM(ev *nvidia.Evidence) (out []byte) {
	for _, c := range ev.Chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	return out
}
