// Package signals knows what is wrong with the pipeline now, as its components say it
// themselves: typed facts, from which others make health and alerts.
package signals
