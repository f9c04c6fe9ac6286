# SPDX-License-Identifier: GPL-2.0-or-later
EXTRA_DIST += docs/faults.md docs/interoperability.md docs/kill-matrix.md docs/stream.md
EXTRA_DIST += docs/lab.md
EXTRA_DIST += docs/samples/bringup-dma.html docs/samples/bringup-dma.json docs/samples/bringup-dma.txt

# Man pages: their text in docs/man/, with the options as the programs' own --help has them.
MAN_PAGES = \
	docs/man/stopcopy.1 \
	docs/man/stopcopy-bringup.1 \
	docs/man/stopcopy-check.1 \
	docs/man/stopcopy-dest.1 \
	docs/man/stopcopy-device.1 \
	docs/man/stopcopy-faults.1 \
	docs/man/stopcopy-inspect.1 \
	docs/man/stopcopy-migrate.1 \
	docs/man/stopcopy-probe.1 \
	docs/man/stopcopy-replay.1 \
	docs/man/stopcopy-run.1 \
	docs/man/stopcopy-source.1 \
	docs/man/stopcopy-state.1 \
	docs/man/stopcopy-suite.1 \
	docs/man/stopcopy-guest.7
MAN_INCLUDED = docs/man/devices.man docs/man/environment.man docs/man/exit-status.man docs/man/numbers.man \
	docs/man/reports.man
man_MANS = $(MAN_PAGES)
CLEANFILES += $(MAN_PAGES)
EXTRA_DIST += $(MAN_PAGES:=.in) $(MAN_INCLUDED) docs/man/make-page.sh

$(MAN_PAGES): docs/man/%: $(srcdir)/docs/man/%.in $(MAN_INCLUDED:%=$(srcdir)/%) $(srcdir)/docs/man/make-page.sh \
		$(srcdir)/docs/guest.md stopcopy stopcopy-device
	@$(MKDIR_P) $(@D)
	$(AM_V_GEN)$(srcdir)/docs/man/make-page.sh . $< $(PACKAGE_VERSION) >$@.tmp && mv $@.tmp $@

completiondir = $(datadir)/bash-completion/completions
dist_completion_DATA = docs/completion/stopcopy
# bash looks for a completion by the program's name.
install-data-hook:
	cd $(DESTDIR)$(completiondir) && ln -sf stopcopy stopcopy-device
uninstall-hook:
	rm -f $(DESTDIR)$(completiondir)/stopcopy-device

dist_doc_DATA = README.md CONTRIBUTING.md docs/ARCHITECTURE.md docs/bench.md docs/bringup.md docs/bringup.schema.json \
	docs/by-hand.md docs/capture-qemu.md docs/check.md docs/device.md docs/faults.md docs/guest.md docs/interoperability.md docs/kill-matrix.md \
	docs/kernel-vfio.md docs/lab.md docs/limits.md docs/orders.md docs/packaging.md docs/report.md docs/report.schema.json docs/rules.md docs/security.md docs/stream.md docs/suite.md docs/vfio-user.md \
	docs/writing-a-device.md docs/writing-a-guest-driver.md

EXTRA_DIST += COPYING debian/changelog debian/control debian/copyright debian/rules debian/source/format \
	debian/stopcopy.lintian-overrides
