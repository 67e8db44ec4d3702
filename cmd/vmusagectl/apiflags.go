package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/vmusage/otelcol-vmusage/cmd/vmusagectl/internal/apiclient"
)

const (
	defaultAPI = "http://127.0.0.1:8080"
	// A key on the command line would be in the list of processes and in the shell's history.
	tokenEnv = "VMUSAGE_TOKEN" //nolint:gosec // the name of a variable
)

// apiFlags are the flags of every command that asks the usage API.
type apiFlags struct {
	endpoint, tokenFile, caFile string
	insecure                    bool
}

func (f *apiFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.endpoint, "endpoint", defaultAPI, "the usage API, a `URL`")
	flags.StringVar(&f.tokenFile, "token-file", "", "a `file` with an API key; without it the environment variable "+tokenEnv)
	flags.StringVar(&f.caFile, "ca-file", "", "a `file` with the authorities of the API's certificate")
	flags.BoolVar(&f.insecure, "insecure", false, "send the API key to another machine without TLS")
}

// client returns a client of the API.
func (f *apiFlags) client(t terminal) (*apiclient.Client, error) {
	token := t.getenv(tokenEnv)
	if f.tokenFile != "" {
		text, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("--token-file: %w", err)}
		}
		token = string(text)
	}
	token = strings.TrimSpace(token)
	if strings.ContainsAny(token, "\r\n") {
		return nil, usagef("the API key has several lines: write one key and nothing else")
	}
	c, err := apiclient.New(apiclient.Settings{
		Endpoint: f.endpoint, Token: token, CAFile: f.caFile, Insecure: f.insecure, UserAgent: "vmusagectl/" + version(),
	})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}
