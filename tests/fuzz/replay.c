/* SPDX-License-Identifier: GPL-2.0-or-later */
/* replay FILE|FOLDER...: calls the fuzzer's function with each file, so that what once crashed is seen not to. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define FILE_MAX (1u << 20)
/* Each takes milliseconds: a hang ends here, by SIGALRM. */
#define FILE_SECONDS 20

static unsigned int files;

static int replay_file(const char *path)
{
    uint8_t *data = malloc(FILE_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 || !data ? -1 : read(fd, data, FILE_MAX);
    uint8_t *exact;

    if (size < 0) {
        perror(path);
        exit(2);
    }
    close(fd);
    /* Of its exact size, so that one byte over is seen. */
    exact = realloc(data, size ? (size_t)size : 1);
    alarm(FILE_SECONDS);
    LLVMFuzzerTestOneInput(exact, (size_t)size);
    alarm(0);
    free(exact);
    files++;
    return 0;
}

static int replay(const char *path)
{
    struct dirent **entries;
    struct stat status;
    int count;

    if (stat(path, &status) == 0 && !S_ISDIR(status.st_mode))
        return replay_file(path);
    count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        perror(path);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        char file[PATH_MAX];

        if (entries[i]->d_name[0] != '.' &&
            snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name) < (int)sizeof(file))
            replay_file(file);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    for (int i = 1; i < argc; i++)
        if (replay(argv[i]))
            return 2;
    printf("%u files\n", files);
    return files ? 0 : 2;
}
