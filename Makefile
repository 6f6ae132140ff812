# Build, try, test, install. `make help` lists the targets.
#
# A source belongs to the program its folder says; dependencies on headers are generated (-MMD).
# Output goes below build/, one tree for each way of compiling: obj (what ships), pic (the
# library), few (few slots, for the simulator), mut (likewise, with planted bugs), san (address and
# undefined behaviour sanitizers: unit tests and fuzz replay), fuzz (clang, libFuzzer). The two
# programs land in this folder. V=1 shows the commands.

ifndef V
.SILENT:
endif

CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wpointer-arith -Wundef -Wvla -Werror
LANGUAGE := -std=c11 -D_GNU_SOURCE -I.
# The programs are optimised as a whole, which the linking of the server takes ten seconds for; `make
# LTO=` does without, and so does a compiler that cannot have plain code in the objects too, which the
# simulator and the tests are linked of.
ifeq ($(origin LTO),undefined)
LTO      := $(shell $(CC) -Werror -flto=auto -ffat-lto-objects -x c -c -o /dev/null /dev/null \
              2>/dev/null && echo -flto=auto)
endif
HARDEN   := -fstack-protector-strong -D_FORTIFY_SOURCE=2
SANITIZE := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
            -fno-sanitize-recover=all -DCHECK_SLOW_ON

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
DOCDIR     ?= $(PREFIX)/share/doc/dht
COMPDIR    ?= $(PREFIX)/share/bash-completion/completions

VERSION := $(shell sed -n 's/^.define DHT_VERSION "\(.*\)".*/\1/p' common/version.h)
SONAME  := libdht.so.$(firstword $(subst ., ,$(VERSION)))

# ---- what is made of what -------------------------------------------------------------------------

# Sockets, through liburing: for the two programs, not for the library nor the simulator.
VOLLEY  := common/volley.c
COMMON  := $(filter-out $(VOLLEY),$(wildcard common/*.c))
# What decides and keeps: the server's and the simulator's alike.
CORE    := $(wildcard server/core/*.c server/store/*.c)
SERVER  := $(VOLLEY) $(CORE) $(wildcard server/*.c server/net/*.c)
KVCLI   := $(VOLLEY) $(wildcard client/kvcli*.c client/cli*.c client/bench*.c)
LIBDHT  := $(filter-out $(KVCLI),$(wildcard client/*.c))
SIM     := $(wildcard tests/sim/*.c)
# Everything a unit test may call: no main, no sockets of the server.
TESTED  := $(COMMON) $(CORE) $(wildcard server/options*.c) server/self.c server/settings.c \
           server/state_file.c server/state_halves.c server/audit.c server/net/evidence.c \
           $(filter-out client/kvcli.c,$(LIBDHT) $(KVCLI)) $(filter-out tests/sim/main.c,$(SIM))
UNIT    := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
# Those that are to notice planted bugs which a simulated cluster shows too seldom.
MUT_UNIT := $(addprefix build/mut/unit/,$(sort $(shell sed -n 's/.* "\(test_[a-z_]*\)",.*/\1/p' common/mutant_list.h)))
FUZZ    := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

pkg = $(shell pkg-config --libs $(1))
# Of libcrypto the server needs SHA-1 alone: linked from the archive that is 0.1 MiB a process, the shared
# library 1.6.
SERVER_LIBS := -Wl,--as-needed $(call pkg,libevent_core libevent_extra jansson inih libisal liburing) -l:libcrypto.a
LIBDHT_LIBS := $(call pkg,jansson libcrypto libisal)
KVCLI_LIBS  := -Wl,--as-needed $(call pkg,libedit jansson libcrypto libisal liburing) -lm
TEST_LIBS   := -Wl,--as-needed $(call pkg,libevent_core jansson inih libcrypto libisal liburing) -lm

.PHONY: all demo demo-stop demo-ten test test-long unit unit-programs e2e fuzz fuzz-replay replay-programs asan sim sim-few mutants oracle \
        lint tidy bench bench-ring scenes forty install clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: dht-server kvcli build/libdht.a build/$(SONAME) ## the programs and the library

# ---- programs and library ------------------------------------------------------------------------

dht-server: $(COMMON:%.c=build/obj/%.o) $(SERVER:%.c=build/obj/%.o)
	echo "  LD    $@"
	$(CC) $(CFLAGS) $(LTO) $(LDFLAGS) -o $@ $^ $(SERVER_LIBS)

kvcli: $(COMMON:%.c=build/obj/%.o) $(LIBDHT:%.c=build/obj/%.o) $(KVCLI:%.c=build/obj/%.o)
	echo "  LD    $@"
	$(CC) $(CFLAGS) $(LTO) $(LDFLAGS) -o $@ $^ $(KVCLI_LIBS)

# One relocatable object whose only global names begin with dht_, so that linking the library
# brings a program none of our short names.
build/libdht.a: $(COMMON:%.c=build/pic/%.o) $(LIBDHT:%.c=build/pic/%.o)
	echo "  AR    $@"
	ld -r -o build/libdht.o $^
	objcopy --wildcard --keep-global-symbol='dht_*' build/libdht.o
	rm -f $@ && ar rcs $@ build/libdht.o

build/$(SONAME): $(COMMON:%.c=build/pic/%.o) $(LIBDHT:%.c=build/pic/%.o)
	printf '{ global: dht_*; local: *; };\n' >build/libdht.map
	echo "  LD    $@"
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=build/libdht.map \
	    -o $@ $^ -Wl,--as-needed $(LIBDHT_LIBS)
	ln -sf $(SONAME) build/libdht.so

build/obj/%.o: %.c
	mkdir -p $(@D)
	echo "  CC    $@"
	$(CC) $(LANGUAGE) $(WARNINGS) $(HARDEN) $(CFLAGS) $(LTO:%=% -ffat-lto-objects) -MMD -MP -c -o $@ $<

build/pic/%.o: %.c
	mkdir -p $(@D)
	echo "  CC    $@"
	$(CC) $(LANGUAGE) $(WARNINGS) $(HARDEN) $(CFLAGS) -fPIC -MMD -MP -c -o $@ $<

# 256 slots: what a simulated second costs is slots times nodes, and few have items.
FEW_SLOTS := -DSLOT_BITS=8

build/mut/%.o: %.c
	mkdir -p $(@D)
	echo "  CC    $@"
	$(CC) $(LANGUAGE) $(WARNINGS) $(HARDEN) $(CFLAGS) $(FEW_SLOTS) -DMUTATIONS -MMD -MP -c -o $@ $<

build/few/%.o: %.c
	mkdir -p $(@D)
	echo "  CC    $@"
	$(CC) $(LANGUAGE) $(WARNINGS) $(HARDEN) $(CFLAGS) $(FEW_SLOTS) -MMD -MP -c -o $@ $<

build/san/%.o: %.c
	mkdir -p $(@D)
	echo "  CC    $@"
	$(CC) $(LANGUAGE) $(WARNINGS) $(SANITIZE) -MMD -MP -c -o $@ $<

build/fuzz/%.o: %.c
	mkdir -p $(@D)
	echo "  CC    $@"
	clang $(LANGUAGE) $(WARNINGS) $(SANITIZE) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

-include $(shell find build -name '*.d' 2>/dev/null)

# ---- tests ---------------------------------------------------------------------------------------

test:                  ## everything that takes minutes: lint, unit, simulation, fuzz replay, end to end
	tests/run.sh build lint unit sim mutants fuzz-replay e2e

test-long:             ## the same at length, real nodes, then all of it again on a bare Debian (needs root)
	DIFF_COUNT=1000000 BATS_TEST_TIMEOUT=600 TIDY_NODES=225000 \
	    tests/run.sh build lint unit sim mutants sim-long fuzz-replay e2e scenes forty bare

unit:                  ## unit tests under the sanitizers
	tests/run.sh unit

unit-programs: $(UNIT:%=build/unit/%)

build/unit/%: build/san/tests/unit/%.o build/san/tested.a
	mkdir -p $(@D)
	echo "  LD    $@"
	$(CC) $(SANITIZE) -o $@ $^ -lcmocka $(TEST_LIBS)

# An archive, so that a test is linked with what it calls and nothing else.
build/san/tested.a: $(TESTED:%.c=build/san/%.o)
	echo "  AR    $@"
	rm -f $@ && ar rcs $@ $^

# The simulator drives the very objects dht-server is made of. make sim runs every check over a few
# seeds; make sim CHECK=x SEED=0x1 NODES=7 SECONDS=60 repeats one run; TRACE=1 shows it.
given = $(if $(filter command line environment,$(origin $(1))),$(2) $($(1)))
sim: build/sim ## simulated clusters: CHECK=x SEED=n SEEDS=n NODES=n SECONDS=n TRACE=1, or STORY=file REWRITE=1
ifdef STORY
	build/sim --stories $(STORY) $(if $(TRACE),--trace) $(if $(REWRITE),--rewrite)
else
	build/sim $(call given,CHECK,--check) $(call given,SEED,--seed) $(call given,SEEDS,--seeds) \
	    $(call given,NODES,--nodes) $(call given,SECONDS,--seconds) $(if $(TRACE),--trace)
endif

build/sim: $(COMMON:%.c=build/obj/%.o) $(CORE:%.c=build/obj/%.o) $(SIM:%.c=build/obj/%.o)
	echo "  LD    $@"
	$(CC) $(CFLAGS) -fno-lto $(LDFLAGS) -Wl,--wrap=ring_place -o $@ $^ $(TEST_LIBS)

# The same with few slots, for many seeds.
sim-few: build/sim-few ## likewise clusters of 256 slots, ten times as fast: CHECK=x SEED=n SEEDS=n
	build/sim-few $(call given,CHECK,--check) $(call given,SEED,--seed) $(call given,SEEDS,--seeds) \
	    $(call given,NODES,--nodes) $(call given,SECONDS,--seconds) $(if $(TRACE),--trace)

build/sim-few: $(COMMON:%.c=build/few/%.o) $(CORE:%.c=build/few/%.o) $(SIM:%.c=build/few/%.o)
	echo "  LD    $@"
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--wrap=ring_place -o $@ $^ $(TEST_LIBS)

# The checking client of real clusters, and the judge of what it was told.
oracle: build/oracle/load build/oracle/judge build/oracle/groups ## the checking client and its judge

build/oracle/load: $(addprefix build/obj/tests/oracle/,load.o client.o history.o) $(COMMON:%.c=build/obj/%.o)
	mkdir -p $(@D)
	echo "  LD    $@"
	$(CC) $(CFLAGS) -fno-lto $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

build/oracle/judge: $(addprefix build/obj/tests/oracle/,judge_main.o judge.o history.o) \
                    build/obj/tests/sim/linear.o $(COMMON:%.c=build/obj/%.o)
	mkdir -p $(@D)
	echo "  LD    $@"
	$(CC) $(CFLAGS) -fno-lto $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

build/oracle/groups: build/obj/tests/oracle/groups.o $(COMMON:%.c=build/obj/%.o)
	mkdir -p $(@D)
	echo "  LD    $@"
	$(CC) $(CFLAGS) -fno-lto $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

# The simulator with planted bugs, each of which a check must notice: a build of its own.
mutants: build/mutants ## planted bugs are noticed; MUTANT=name for one
	build/mutants --mutants $(call given,MUTANT,--mutant) $(call given,SEED,--seed) $(call given,SEEDS,--seeds)

build/mutants: $(COMMON:%.c=build/mut/%.o) $(CORE:%.c=build/mut/%.o) $(SIM:%.c=build/mut/%.o) $(MUT_UNIT)
	echo "  LD    $@"
	$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--wrap=ring_place -o $@ $(filter %.o,$^) $(TEST_LIBS)

build/mut/unit/%: build/mut/tests/unit/%.o build/mut/tested.a
	mkdir -p $(@D)
	echo "  LD    $@"
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(TEST_LIBS)

build/mut/tested.a: $(TESTED:%.c=build/mut/%.o)
	echo "  AR    $@"
	rm -f $@ && ar rcs $@ $^

e2e:                   ## end to end tests against real processes
	tests/run.sh e2e

fuzz-replay:           ## every recorded fuzz input once, under the sanitizers
	tests/run.sh fuzz-replay

replay-programs: $(FUZZ:%=build/replay/%)

build/replay/%: build/san/tests/fuzz/fuzz_%.o build/san/tests/fuzz/replay.o build/san/tested.a
	mkdir -p $(@D)
	echo "  LD    $@"
	$(CC) $(SANITIZE) -o $@ $^ $(TEST_LIBS)

# make fuzz TARGET=request SECONDS=60: runs one, starting from its corpus; new inputs are kept below
# build/, a crash in regress. Without TARGET it builds them all.
SECONDS ?= 60
fuzz: $(FUZZ:%=build/fuzzers/%)       ## build all fuzzers; TARGET=x SECONDS=60 runs one
ifdef TARGET
	mkdir -p build/corpus/$(TARGET) tests/fuzz/corpus/$(TARGET) tests/fuzz/regress/$(TARGET)
	build/fuzzers/$(TARGET) -max_total_time=$(SECONDS) -artifact_prefix=tests/fuzz/regress/$(TARGET)/ \
	    build/corpus/$(TARGET) tests/fuzz/corpus/$(TARGET) tests/fuzz/regress/$(TARGET)
endif

build/fuzzers/%: build/fuzz/tests/fuzz/fuzz_%.o build/fuzz/tested.a
	mkdir -p $(@D)
	echo "  LD    $@"
	clang $(SANITIZE) -fsanitize=fuzzer -o $@ $^ $(TEST_LIBS)

build/fuzz/tested.a: $(patsubst %.c,build/fuzz/%.o,$(filter-out tests/sim/%,$(TESTED)))
	echo "  AR    $@"
	rm -f $@ && ar rcs $@ $^

# The two programs under the sanitizers, for the end to end tests: make asan && make e2e BIN=build/asan
asan: build/asan/dht-server build/asan/kvcli ## both programs under the sanitizers, in build/asan

build/asan/dht-server: $(COMMON:%.c=build/san/%.o) $(SERVER:%.c=build/san/%.o)
	mkdir -p $(@D)
	echo "  LD    $@"
	$(CC) $(SANITIZE) -o $@ $^ $(SERVER_LIBS)

build/asan/kvcli: $(COMMON:%.c=build/san/%.o) $(LIBDHT:%.c=build/san/%.o) $(KVCLI:%.c=build/san/%.o)
	mkdir -p $(@D)
	echo "  LD    $@"
	$(CC) $(SANITIZE) -o $@ $^ $(KVCLI_LIBS)

lint: all              ## formatting, layers, clang-tidy, cppcheck, shellcheck, manual pages
	tests/run.sh lint

ANALYZER_NODES := --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes=

# Looked at again when its object file is newer, so also when a header changed.
# TIDY_NODES: how many states of a function clang's analyzer looks at, which is what takes the time. Its own
# default, 225000, is for make test-long.
TIDY_NODES ?= 60000
tidy: $(patsubst %.c,build/tidy/$(TIDY_NODES)/%,$(COMMON) $(SERVER) $(LIBDHT) $(KVCLI))

build/tidy/$(TIDY_NODES)/%: build/obj/%.o .clang-tidy
	mkdir -p $(@D)
	echo "  TIDY  $*.c"
	clang-tidy --quiet $*.c $(ANALYZER_NODES)$(TIDY_NODES) -- $(LANGUAGE) $(WARNINGS)
	touch $@

bench: all             ## against memcached, redis and etcd, side by side; takes minutes (./setup.sh bench before)
	tests/bench/run.sh

bench-ring: build/bench/ring_bench ## how long a placement takes, how even it is, what a join moves
	$<

build/bench/ring_bench: build/obj/tests/bench/ring_bench.o $(COMMON:%.c=build/obj/%.o)
	mkdir -p $(@D)
	echo "  LD    $@"
	$(CC) $(CFLAGS) $(LTO) $(LDFLAGS) -o $@ $^ $(KVCLI_LIBS)

scenes: all oracle     ## real nodes die, stop, hang, come and go under a checked load; half an hour, as root
	tests/scenes/run.sh

forty: all             ## 40 real nodes: how soon all know of a death, a join, a leave (needs root)
	tests/forty/run.sh

# ---- trying and installing -----------------------------------------------------------------------

demo: all              ## start the five nodes of peers.txt and show what they do
	tests/demo.sh start

demo-stop:             ## stop them
	tests/demo.sh stop

demo-ten: all          ## ten nodes: one joins, one is killed, one leaves, as members and logs tell it
	tests/demo_ten.sh

install: all           ## programs, library, manual pages, completion; DESTDIR and PREFIX
	install -D -t $(DESTDIR)$(BINDIR) dht-server kvcli
	install -D -m 644 -t $(DESTDIR)$(LIBDIR) build/libdht.a
	install -D -t $(DESTDIR)$(LIBDIR) build/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libdht.so
	install -D -m 644 -t $(DESTDIR)$(INCLUDEDIR) client/dht.h
	install -D -m 644 -t $(DESTDIR)$(MANDIR)/man1 client/*.1
	install -D -m 644 -t $(DESTDIR)$(MANDIR)/man8 server/*.8
	install -D -m 644 -t $(DESTDIR)$(DOCDIR) README.md proto.md server/dht-server.conf
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(COMPDIR)
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' '' \
	    'Name: libdht' 'Description: client library for dht-server and memcached' \
	    'Version: $(VERSION)' 'Libs: -L$${libdir} -ldht' 'Libs.private: $(LIBDHT_LIBS)' \
	    'Cflags: -I$${includedir}' >$(DESTDIR)$(LIBDIR)/pkgconfig/libdht.pc
	./kvcli completion bash >$(DESTDIR)$(COMPDIR)/kvcli

clean:                 ## remove everything that was built
	rm -rf build dht-server kvcli

help:                  ## this list
	sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
