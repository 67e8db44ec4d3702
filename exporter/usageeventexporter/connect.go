package usageeventexporter

import (
	"github.com/IBM/sarama"
)

// connect builds a sarama producer, which fails unless a broker answers.
func (e *usageEvent) connect(line *lifeline) (sarama.SyncProducer, error) {
	tlsConfig, err := e.security.tlsConfig(line.ctx)
	if err != nil {
		return nil, err
	}
	cfg, err := newSaramaConfig(e.cfg, tlsConfig, e.security.tokens, line)
	if err != nil {
		return nil, err
	}
	e.observe(cfg, line)
	client, err := sarama.NewClient(e.cfg.Brokers, cfg)
	if err != nil {
		return nil, err
	}
	p, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		_ = client.Close()
		return nil, err
	}
	return &ownedProducer{p, client}, nil
}

// An ownedProducer has a client of its own, and closes it. sarama.NewSyncProducer
// would do the same, but where the brokers give no producer id it leaves the
// client's goroutines and connections behind.
type ownedProducer struct {
	sarama.SyncProducer
	client sarama.Client
}

// Close is to be called once, when nothing is being sent.
func (p *ownedProducer) Close() error {
	err := p.SyncProducer.Close()
	if problem := p.client.Close(); err == nil {
		err = problem
	}
	return err
}
