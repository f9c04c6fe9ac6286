#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes a man page from its text and the program's own --help: make-page.sh PROGRAMS PAGE.in VERSION >PAGE
# PROGRAMS is the folder that stopcopy and stopcopy-device are in. Lines of the text that are replaced:
#   @SYNOPSIS@  the usage      @OPTIONS@   a paragraph for each option
#   @EXAMPLES@  the examples   @COMMANDS@  of `stopcopy --help`, a paragraph for each command
#   @ACTIONS@   of `stopcopy state`, a paragraph for each
#   @RULES@  the rules of ../guest.md, a paragraph for each
#   @INCLUDE FILE@  a file beside the text
set -eu
programs=$1 text=$2 version=$3
name=$(basename "$text")
name=${name%.[1-9].in}

case $name in
stopcopy | stopcopy-guest) set -- "$programs/stopcopy" --help ;;
stopcopy-device) set -- "$programs/stopcopy-device" --help ;;
*) set -- "$programs/stopcopy" "${name#stopcopy-}" --help ;;
esac
# Wide enough for each option's words to be on its line.
help=$(ARGP_HELP_FMT=rmargin=9000,opt-doc-col=70 "$@") || { echo "$0: '$*' has no help" >&2; exit 1; }
# argp's usage names the program by its path.
help=$(printf '%s\n' "$help" | sed "1s|^Usage: .*/\(stopcopy-device\)|Usage: \1|")

printf '%s\n' "$help" | awk -v text="$text" -v version="$version" '
function roff(words) {
    gsub(/\\/, "\\e", words)
    gsub(/-/, "\\-", words)
    gsub(/~/, "\\(ti", words)
    gsub(/\^/, "\\(ha", words)
    sub(/^[.\047]/, "\\\\&&", words)
    return words
}

# "-?, --help" or "--at-ops=N": names in bold, what is to be filled in in italics.
function option(words,    at, made) {
    made = ""
    if (match(words, /^-[^-], /)) {
        made = "\\fB" roff(substr(words, 1, 2)) "\\fR, "
        words = substr(words, 5)
    }
    at = match(words, /[[=]/)
    if (!at)
        return made "\\fB" roff(words) "\\fR"
    return made "\\fB" roff(substr(words, 1, at - 1)) "\\fR" (substr(words, at, 1) == "=" ? "=" : "[") \
        "\\fI" roff(substr(words, at + 1)) "\\fR"
}

function paragraph(head, body) {
    return ".TP\n" head "\n" roff(body) "\n"
}

{ line[NR] = $0 }

# What stands after the first run of spaces that separates an entry from its words.
function after(words) {
    sub(/^[^ ]+( --[^ ]+)? +/, "", words)
    return words
}

function read_help(    i, words, at, action, said) {
    synopsis = line[1]
    sub(/^Usage: /, "", synopsis)
    for (i = 2; i <= NR; i++) {
        words = line[i]
        if (words ~ /^ +(-[^-], )?--[a-z]/) {
            in_examples = 0
            sub(/^ +/, "", words)
            at = match(words, /   +/)
            options = options paragraph(option(at ? substr(words, 1, at - 1) : words), \
                at ? after(words) : line[++i])
        } else if (words ~ /^Examples?:/) {
            in_examples = 1
        } else if (in_examples && words ~ /^  /) {
            examples = examples roff(substr(words, 3)) "\n"
        } else if (words ~ /^Commands:/) {
            in_commands = 1
        } else if (in_commands && words ~ /^  [a-z]/) {
            sub(/^ +/, "", words)
            at = match(words, / +/)
            commands = commands paragraph("\\fBstopcopy\\-" substr(words, 1, at - 1) "\\fR(1)", \
                after(words))
        } else if (words ~ /^  [a-z]/) {
            # "  set STATE  go to each", the rest of what it says in the lines below.
            sub(/^ +/, "", words)
            at = match(words, /  +/)
            action = "\\fB" roff(substr(words, 1, at - 1)) "\\fR"
            said = substr(words, at)
            sub(/^ +/, "", said)
            while (line[i + 1] ~ /^    /) {
                words = line[++i]
                sub(/^ +/, "", words)
                said = said " " words
            }
            actions = actions paragraph(action, said)
        } else if (!words) {
            in_commands = 0
        }
    }
}

# The rows "| `guest/rule` | what was seen |" of the page about the guest.
function print_rules(file,    row, cell) {
    while ((getline row < file) > 0) {
        if (row !~ /^\| `guest\//)
            continue
        split(row, cell, / *\| */)
        gsub(/`/, "", cell[2])
        printf "%s", paragraph("\\fB" roff(cell[2]) "\\fR", cell[3])
    }
    close(file)
}

function print_file(file,    words) {
    while ((getline words < file) > 0) {
        if (words == "@SYNOPSIS@")
            print roff(synopsis)
        else if (words == "@OPTIONS@")
            printf "%s", options
        else if (words == "@COMMANDS@")
            printf "%s", commands
        else if (words == "@ACTIONS@")
            printf "%s", actions
        else if (words == "@EXAMPLES@")
            printf ".EX\n%s.EE\n", examples
        else if (words == "@RULES@")
            print_rules(folder "../guest.md")
        else if (words ~ /^@INCLUDE /) {
            print_file(folder substr(words, 10, length(words) - 10))
        } else {
            gsub(/@VERSION@/, version, words)
            print words
        }
    }
    close(file)
}

END {
    folder = text
    sub(/[^\/]*$/, "", folder)
    read_help()
    print_file(text)
}'
