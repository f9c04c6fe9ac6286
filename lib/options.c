/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int option_parse_size(const char *text, const char *what, uint64_t *bytes, struct error *error)
{
    static const char letters[] = "kmgt";
    unsigned long long number;
    const char *letter;
    char *end;

    if (!isdigit((unsigned char)*text))
        return error_set(error, EINVAL, "%s: '%s' is not a size such as 4096, 64K, 256M or 2G", what, text);
    errno = 0;
    number = strtoull(text, &end, 0);
    if (errno)
        return error_set(error, errno, "%s: '%s'", what, text);
    letter = *end ? strchr(letters, tolower((unsigned char)*end)) : NULL;
    if (letter) {
        unsigned int shift = 10u * (unsigned int)(letter - letters + 1);

        if (number > UINT64_MAX >> shift)
            return error_set(error, ERANGE, "%s: '%s'", what, text);
        number <<= shift;
        end++;
        if (!strcasecmp(end, "iB") || !strcasecmp(end, "B"))
            end += strlen(end);
    }
    if (*end)
        return error_set(error, EINVAL, "%s: '%s' is not a size such as 4096, 64K, 256M or 2G", what, text);
    *bytes = number;
    return 0;
}

int option_parse_time(const char *text, const char *what, uint64_t *ns, struct error *error)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"min", 60e9}};
    char *end;
    double number;

    errno = 0;
    number = isdigit((unsigned char)*text) ? strtod(text, &end) : -1;
    if (number >= 0 && errno == 0 && isfinite(number)) {
        if (number == 0 && !*end) {
            *ns = 0;
            return 0;
        }
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            if (strcmp(end, units[i].name))
                continue;
            if (number * units[i].ns >= 9e18)
                return error_set(error, ERANGE, "%s: '%s'", what, text);
            *ns = (uint64_t)(number * units[i].ns);
            return 0;
        }
    }
    return error_set(error, EINVAL, "%s: '%s' is not a time such as 50us, 20ms or 1.5s", what, text);
}

int option_parse_number(const char *text, const char *what, uint64_t minimum, uint64_t maximum, uint64_t *number,
                        struct error *error)
{
    unsigned long long value = 0;
    char *end = NULL;

    errno = 0;
    if (isdigit((unsigned char)*text))
        value = strtoull(text, &end, 0);
    if (!end || *end || errno || value < minimum || value > maximum)
        return error_set(error, EINVAL, "%s: '%s' is not a number from %" PRIu64 " to %" PRIu64, what, text, minimum,
                         maximum);
    *number = value;
    return 0;
}

int option_split(char *text, const char *what, struct option_pair *pairs, size_t maximum, struct error *error)
{
    size_t count = 0;
    char *rest = text;

    while (rest && *rest) {
        char *word = strsep(&rest, ",");
        char *value = strchr(word, '=');

        if (count == maximum)
            return error_set(error, E2BIG, "%s: more than %zu options", what, maximum);
        if (value)
            *value++ = '\0';
        if (!*word)
            return error_set(error, EINVAL, "%s: an option without a name", what);
        pairs[count].key = word;
        pairs[count].value = value ? value : word + strlen(word);
        count++;
    }
    return (int)count;
}
