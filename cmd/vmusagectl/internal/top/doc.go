// Package top is a live table of what instances use: what the usage API answers, rates
// between two answers, their order, and the screen. It opens no terminal and no connection.
package top
