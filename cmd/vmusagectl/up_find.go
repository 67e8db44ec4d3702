package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const collectorName = "otelcol-vmusage"

// findCollector returns the program to run as the collector.
func (u *up) findCollector() (string, error) {
	if u.collector != "" {
		path, err := exec.LookPath(u.collector)
		if err != nil {
			return "", fmt.Errorf("--collector: %w", err)
		}
		return path, nil
	}
	var beside string
	if self, err := os.Executable(); err == nil {
		beside = filepath.Join(filepath.Dir(self), collectorName)
		if path, err := exec.LookPath(beside); err == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath(collectorName); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("no collector: neither %s nor %s in PATH; build it with `make build`, or name it with --collector", beside, collectorName)
}

// checkConfigs sees that configurations which are files are there.
func (u *up) checkConfigs() error {
	for _, config := range u.configs {
		path, isFile := strings.CutPrefix(config, "file:")
		if !isFile && strings.Contains(config, ":") {
			continue // env:NAME, yaml:..., https://...: the collector's business
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("--config: %w; run it where the file is, or name it with --config", err)
		}
	}
	return nil
}

// collectorArgs returns the arguments of the collector.
func (u *up) collectorArgs() []string {
	args := make([]string, 0, 2*len(u.configs)+len(u.extra))
	for _, config := range u.configs {
		args = append(args, "--config", config)
	}
	return append(args, u.extra...)
}
