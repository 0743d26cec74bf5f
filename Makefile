# Tenure. Everything here calls a script or meson; `make help` lists it.
.POSIX:
.PHONY: all help deps demo check check-asan check-tsan check-clang bench bench-regions fuzz sim faults mirrors replicas system flows interop reference install format tidy clean

PREFIX = /usr/local

all:            ## release build: build/tenure
	@scripts/build release

help:           ## this list
	@grep -h '##' Makefile | grep -v grep | sed 's/:[^#]*##/ -/'

deps:           ## install the Debian packages needed
	@scripts/deps build test

demo: deps all  ## the demonstration: election, kill -9, restart, a lock in a shell
	@scripts/demo

check: deps     ## all tests
	@scripts/check release

check-asan: deps ## all of them with address and undefined-behaviour sanitizers
	@scripts/check asan

check-tsan: deps ## the tests in which there are threads, with the thread sanitizer
	@scripts/check tsan

check-clang: deps ## clang build, warnings are errors, and the tests that need no other process
	@scripts/check clang

bench: all      ## tenure serve beside etcd on this machine
	@scripts/bench

bench-regions: all ## replicas: watches, rates, trees; writes the tables and plots of docs/replica-scale.md
	@scripts/bench-regions

fuzz: deps      ## each parser under libFuzzer for FUZZ_S seconds
	@scripts/fuzz

sim: all        ## the simulation over many seeds
	@scripts/sim

faults: deps    ## real faults in network namespaces, over many seeds, on both servers, with and without sanitizers
	@scripts/faults

mirrors: deps   ## a mirror over KILLS (100) kills of all sides, on both servers
	@scripts/mirrors

replicas: deps  ## replicas of a busy source, killed and cut off on both sides, for SECONDS_EACH (600) on etcd and tenure serve
	@scripts/replicas

system: deps    ## the example of a whole system under random faults, for MINUTES (30) on each server
	@scripts/system

flows: deps     ## the flows by other people's clients in every mode: plain, TLS, client certificates, users
	@scripts/flows

interop:        ## current etcd beside tenure serve, clients that Debian does not have, moves (needs Go, Maven, PyPI)
	@scripts/interop

reference:      ## the reference of the public headers, by doxygen: build/reference/html
	@scripts/reference

install:        ## install into PREFIX (DESTDIR is respected)
	@scripts/install $(PREFIX)

format:         ## rewrite all sources with clang-format
	@scripts/format

tidy: all       ## format check, clang-tidy and the tidy tests
	@scripts/tidy

clean:          ## remove build/
	rm -rf build
