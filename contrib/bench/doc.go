/*
Bench measures a cluster on this host against the figures that it is to reach. It starts the real programs of a folder, gives them work, and
prints each figure beside its aim, with the machine that it was measured on:

	go run ./contrib/bench [-bin bin] [-quick] [row …]

A figure that is not reached is printed as it is, and is no failure: these are aims, not tests. The exit status is 1 where something could not
be measured at all: a task failed, results were missing, a daemon died. Begin with rows.go; a row is one function.

What is compared runs in turns, A B A B, and the median of the ratios is quoted with the least and the most of them: on a machine that does
something else as well, a single number would say little. All rows take about half an hour, with -quick a minute or two.

It runs on Linux, and speaks with nobody but loopback addresses. Of what it started, and of the data that this made, nothing is left when it ends.
*/
package main
