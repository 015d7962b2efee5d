# SPDX-License-Identifier: Apache-2.0
#
# make            hull, hull-vmm, vminitd and the boot file system, under build/bin
# make demo       install what is missing, build, and run a container from a registry in a virtual machine
# make test       install what is missing, build, and run every test
# make kernel     the guest kernel, and the lab host's where virtual machines need the lab (cached outside the checkout)
# make bench      the way from layers to a file system, measured beside its floor and other tools (takes minutes)
# make lint       format, static analysis, layering
# make install    PREFIX=/usr/local DESTDIR=
# SAN=1           with AddressSanitizer and UndefinedBehaviorSanitizer, under build/san
# CC=clang        with another compiler
# V=1             print each command whole

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
# Keep the objects of tests: a second build compiles nothing again.
.SECONDARY:
MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.DEFAULT_GOAL := all

CC := gcc
AR := ar
MUSL_CC ?= musl-gcc
FUZZ_CC ?= clang
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

ifdef SAN
BUILD := build/san
else
BUILD := build
endif
BIN := $(BUILD)/bin
OBJ := $(BUILD)/obj

# ---- flags ----------------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
	-Wformat=2 -Wcast-qual -Wpointer-arith -Wwrite-strings -Wimplicit-fallthrough -fno-common
CPPFLAGS := -I. -D_GNU_SOURCE -DHULL_VERSION='"$(VERSION)"'
CFLAGS_COMMON := -std=gnu11 -g $(WARNINGS)
HARDENING := -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
LDFLAGS_HARDENING := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
# The sanitizers' extra code makes gcc doubt lengths that it can prove without them.
SANITIZERS := -O1 -Wno-format-truncation -Wno-stringop-truncation -Wno-maybe-uninitialized \
	-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

ifdef SAN
CFLAGS := $(CFLAGS_COMMON) $(SANITIZERS)
LDFLAGS := -fsanitize=address,undefined
else
CFLAGS := $(CFLAGS_COMMON) $(HARDENING)
LDFLAGS := $(LDFLAGS_HARDENING)
endif
LDFLAGS += -pthread

# ---- rooms ----------------------------------------------------------------------------------------------------------
# A new .c file in a room is picked up by itself. Each room is an archive; a program takes from it what it uses.

room = $(sort $(wildcard $(addsuffix /*.c,$(1))))
objects = $(patsubst %.c,$(OBJ)/%.o,$(1))

BASE_SRC := $(call room,base)
DEVICES_SRC := $(call room,devices devices/virtio)
VMM_SRC := $(call room,vmm vmm/x86)
IMAGE_SRC := $(call room,image image/ext4)
RUNTIME_SRC := $(call room,runtime)
INITD_SRC := $(call room,initd)
INITD_LIB_SRC := $(filter-out initd/main.c,$(INITD_SRC))
HULL_SRC := $(call room,tools/hull)
HULL_VMM_SRC := $(call room,tools/hull-vmm)
SUPPORT_SRC := $(call room,tests/support)

ARCHIVES := cli runtime image vmm devices initd base
cli_SRC := $(filter-out tools/hull/main.c,$(HULL_SRC))
runtime_SRC := $(RUNTIME_SRC)
image_SRC := $(IMAGE_SRC)
vmm_SRC := $(VMM_SRC)
devices_SRC := $(DEVICES_SRC)
initd_SRC := $(INITD_LIB_SRC)
base_SRC := $(BASE_SRC)
# What the lab's two ends share; they are built by tools/lab/lab, this is for their test.
lab_SRC := tools/lab/frame.c
support_SRC := $(SUPPORT_SRC)
archive = $(addprefix $(OBJ)/lib,$(addsuffix .a,$(1)))

VMM_LIBS := -lseccomp -ljansson
HULL_LIBS := -lcurl -ljansson -larchive -lzstd -lisal -lcrypto -lseccomp

all: programs kernel-link

# One short line for each step unless V=1.
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@;)

# ---- objects and archives -------------------------------------------------------------------------------------------

$(OBJ)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define archive_rule
$(OBJ)/lib$(1).a: $(call objects,$($(1)_SRC))
	@mkdir -p $$(@D) && rm -f $$@
	$$(call say,AR)$(AR) rcsD $$@ $$^
endef
$(foreach name,$(ARCHIVES) lab support,$(eval $(call archive_rule,$(name))))

# ---- programs -------------------------------------------------------------------------------------------------------

PROGRAMS := $(BIN)/hull $(BIN)/hull-vmm $(BIN)/vminitd $(BIN)/initramfs.cpio
.PHONY: all programs
programs: $(PROGRAMS)

$(BIN)/hull: $(call objects,$(HULL_SRC)) $(call archive,runtime image initd base)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $^ $(HULL_LIBS)

# hull-vmm takes nothing from image/ and runtime/: what faces the guest links no network client and no archive code.
$(BIN)/hull-vmm: $(call objects,$(HULL_VMM_SRC)) $(call archive,vmm devices base)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $^ $(VMM_LIBS)

# vminitd: one static executable without glibc. musl-gcc does not see the kernel's headers by itself.
MUSL_OBJ := build/musl
MUSL_SRC := $(INITD_SRC) $(BASE_SRC)
# -Wno-format-truncation: texts are cut on purpose, which at -Os gcc points out.
MUSL_CFLAGS := $(CFLAGS_COMMON) -Os -static -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
	-fstack-protector-strong -Wno-format-truncation -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu

$(MUSL_OBJ)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,MUSL)$(MUSL_CC) $(CPPFLAGS) $(MUSL_CFLAGS) -MMD -MP -c -o $@ $<

$(BIN)/vminitd: $(patsubst %.c,$(MUSL_OBJ)/%.o,$(MUSL_SRC))
	@mkdir -p $(@D)
	$(call say,LINK)$(MUSL_CC) -static -s -Wl,--gc-sections -o $@ $^

# The guest's boot file system: vminitd as /init and nothing else, the same bytes for the same vminitd.
$(BIN)/initramfs.cpio: $(BIN)/vminitd tools/make-initramfs
	tools/make-initramfs $< $@

# ---- the kernel -----------------------------------------------------------------------------------------------------

# ---- benchmarks -----------------------------------------------------------------------------------------------------
# Always without sanitizers. All but `scratch` share no code with hull.

BENCH_PROGRAMS := $(patsubst tools/bench/%.c,build/bench/%,$(sort $(wildcard tools/bench/*.c)))

build/bench/%: $(OBJ)/tools/bench/%.o $(call archive,image base)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $^ $(HULL_LIBS)

.PHONY: bench
bench: programs $(BENCH_PROGRAMS) build/tests/rootfs_from_layers
	tools/bench/image $(BENCH)

.PHONY: guests kernel kernel-link deps demo test lint format install clean unit fuzz
kernel:
	where=$$(tools/lab/lab where); kernel-config/build guest $$([[ $$where == here ]] || echo lab-host)
	@$(MAKE) --no-print-directory kernel-link

# The programs look for their kernel beside themselves. It is built only when asked for: `make` must not take minutes.
kernel-link:
	@mkdir -p $(BIN)
	@kernel=$$(kernel-config/build --print guest); if [[ -f $$kernel ]]; then ln -sfn "$$kernel" $(BIN)/vmlinux; fi

# ---- tests ----------------------------------------------------------------------------------------------------------
# Unit tests are always built with the sanitizers: `make SAN=1 unit` under build/san.

UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/unit/test_*.c)))
TEST_PROGRAMS := $(patsubst tests/programs/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/programs/*.c)))
unit: $(UNIT_TESTS) $(TEST_PROGRAMS)

# For scripts, which may run side by side: each finds its program there and builds nothing itself.
.PHONY: test-programs
test-programs: $(TEST_PROGRAMS)

$(BUILD)/tests/%: $(OBJ)/tests/unit/%.o $(call archive,support lab $(ARCHIVES))
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $^ $(HULL_LIBS) -lcmocka

# Tests of allocations that fail: the project's own come to the test's functions first.
$(BUILD)/tests/test_%_faults: LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup

# And of writing that fails.
$(BUILD)/tests/test_store_faults: LDFLAGS += -Wl,--wrap=write,--wrap=pwrite,--wrap=ftruncate,--wrap=fchmod,--wrap=fsync \
	-Wl,--wrap=linkat,--wrap=renameat,--wrap=mkdirat

# Programs that tests run.
$(BUILD)/tests/%: $(OBJ)/tests/programs/%.o $(call archive,$(ARCHIVES))
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS) -o $@ $^ $(HULL_LIBS)

# Guests for tests of the machine: assembly becomes a bare-metal kernel, C becomes the init of a boot file system.
GUESTS := $(patsubst tests/guests/%.S,build/guests/%.elf,$(sort $(wildcard tests/guests/*.S))) \
	$(patsubst tests/guests/%.c,build/guests/%.cpio,$(sort $(wildcard tests/guests/*.c)))
guests: $(GUESTS)

build/guests/%.elf: tests/guests/%.S tests/guests/guest.inc tests/guests/guest.ld
	@mkdir -p $(@D)
	$(call say,GUEST)gcc -nostdlib -static -no-pie -Wl,-T,tests/guests/guest.ld,--build-id=none,-z,noexecstack -o $@ $<

build/guests/%.cpio: tests/guests/%.c tools/make-initramfs
	@mkdir -p $(@D)
	$(call say,GUEST)$(MUSL_CC) $(CPPFLAGS) $(MUSL_CFLAGS) -static -s -o build/guests/$*.init $< && \
		tools/make-initramfs build/guests/$*.init $@

# Fuzz targets: libFuzzer, every room compiled by clang with coverage.
FUZZ_OBJ := build/fuzz/obj
FUZZ_FLAGS := $(CFLAGS_COMMON) -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_ROOMS := $(patsubst %.c,$(FUZZ_OBJ)/%.o,$(foreach name,support $(ARCHIVES),$($(name)_SRC)))
fuzz: $(FUZZ_TARGETS)

$(FUZZ_OBJ)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,FUZZ)$(FUZZ_CC) $(CPPFLAGS) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

build/fuzz/librooms.a: $(FUZZ_ROOMS)
	@rm -f $@
	$(call say,AR)$(AR) rcsD $@ $^

build/fuzz/fuzz_%: $(FUZZ_OBJ)/tests/fuzz/fuzz_%.o build/fuzz/librooms.a
	$(call say,LINK)$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -pthread -o $@ $^ $(HULL_LIBS)

deps:
	tools/install-deps

test:
	tools/install-deps
	tests/run

demo:
	tools/install-deps
	tools/demo

lint:
	tools/lint

format:
	git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

# ---- install --------------------------------------------------------------------------------------------------------

install: all
	install -D -m 755 $(BIN)/hull $(DESTDIR)$(PREFIX)/bin/hull
	install -D -m 755 $(BIN)/hull-vmm $(DESTDIR)$(PREFIX)/libexec/hull/hull-vmm
	install -D -m 644 $(BIN)/initramfs.cpio $(DESTDIR)$(PREFIX)/libexec/hull/initramfs.cpio
	kernel=$$(kernel-config/build --print guest); \
	if [[ -f $$kernel ]]; then install -D -m 644 "$$kernel" $(DESTDIR)$(PREFIX)/libexec/hull/vmlinux; \
	else echo "install: no guest kernel yet; 'make kernel' first, then again" >&2; exit 1; fi

clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
