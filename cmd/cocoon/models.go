package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"

	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

var modelsCommand = &command.Command{
	Name: "models", Short: "list the models of a verified node",
	Example: "cocoon models",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.register(fs)
		s.registerEndorsements(fs)
		return func(ctx context.Context, env *command.Env) error {
			sess, err := s.connect(ctx, env, nil)
			if err != nil {
				return err
			}
			defer sess.close()
			return listModels(ctx, env, sess)
		}
	},
}

type modelLine struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

func listModels(ctx context.Context, env *command.Env, sess *session) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://cocoon/v1/models", nil)
	if err != nil {
		return err
	}
	resp, err := sess.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return apiError(resp)
	}
	// The list is the verified claims', not the engine's word; the answer is
	// read to its end so that its receipt is checked too.
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	node := client.NodeOf(resp)
	warnSimulated(env.Stderr, node.Verified().Simulated())
	models := []modelLine{}
	for _, m := range node.Verified().Models() {
		models = append(models, modelLine{m.Name, fmt.Sprintf("%x", m.Digest)})
	}
	if env.JSON {
		return env.PrintJSON(map[string]any{"models": models, "node": node.Record().Address, "simulated": node.Verified().Simulated()})
	}
	for _, m := range models {
		fmt.Fprintf(env.Stdout, "%s  sha256:%s\n", m.Name, m.Digest)
	}
	return nil
}
