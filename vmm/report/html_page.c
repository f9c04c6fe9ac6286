/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every page has: its style, its head with the verdict, and text that is escaped. */
#include <stdlib.h>
#include <string.h>

#include "vmm/report/html.h"

static const char style[] =
    ":root{color-scheme:light dark;--line:#8886;--source:#2f6fb7;--destination:#2e8b57;--soft:#8881}"
    "body{font:16px/1.45 system-ui,sans-serif;margin:0 auto;padding:0 16px 48px;max-width:960px}"
    "h1{font-size:1.35rem;margin:0}h2{font-size:1.15rem;margin:2.2em 0 .6em}h3{font-size:1rem;margin:1.6em 0 .4em}"
    "header{margin:20px 0;padding:16px 20px;border-radius:8px;color:#fff;overflow-wrap:anywhere}"
    "header p{margin:.4em 0 0}.pass{background:#1f7a3f}.fail{background:#a32020}.incomplete{background:#8a5a00}"
    ".numbers{display:flex;flex-wrap:wrap;gap:12px;margin:0;padding:0;list-style:none}"
    ".numbers li{flex:1 1 130px;padding:10px 14px;background:var(--soft);border-radius:8px}"
    ".numbers b{display:block;font-size:1.2rem}"
    "pre,code{font:13px/1.4 ui-monospace,monospace}pre{padding:10px 14px;background:var(--soft);border-radius:8px;"
    "white-space:pre-wrap;overflow-wrap:anywhere}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:.88rem;min-width:50%}"
    "th,td{text-align:left;padding:4px 12px 4px 0;border-bottom:1px solid var(--line);vertical-align:top}"
    "td.wrong,.rule{color:#d22;font-weight:600}dt{margin-top:.8em}dd{margin:.1em 0 0 1.2em;overflow-wrap:anywhere}"
    "li{overflow-wrap:anywhere}svg{width:100%;height:auto;font:12px system-ui,sans-serif}svg.timeline{min-width:640px}"
    "svg text{fill:currentColor}svg rect.source,svg circle.source{fill:var(--source)}"
    "svg rect.destination,svg circle.destination{fill:var(--destination)}svg .arc{opacity:.55}"
    "svg .downtime{fill:#d9a400;opacity:.18}svg path{fill:none;stroke-width:2.5}svg path.source{stroke:var(--source)}"
    "svg path.destination{stroke:var(--destination)}svg .possible{stroke:var(--line);stroke-width:1.5;"
    "stroke-dasharray:4 4}svg .state{fill:Canvas;stroke:var(--line)}svg .state.taken{stroke:currentColor;"
    "stroke-width:2}svg .number{fill:#fff;font-size:11px}.legend{font-size:.85rem}"
    ".key{display:inline-block;width:12px;height:12px;border-radius:2px}.key.source{background:var(--source)}"
    ".key.destination{background:var(--destination)}";

void html_text(FILE *file, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", file);
            break;
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        default:
            fputc(*text, file);
        }
    }
}

void html_print_escaped(html_printer print, const json_t *object, FILE *file)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);

    if (!memory)
        return;
    print(object, memory);
    if (fclose(memory) == 0 && text)
        html_text(file, text + strspn(text, " "));
    free(text);
}

void html_begin(FILE *file, const char *verdict, html_printer print, const json_t *object, const char *text)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" "
          "href=\"data:,\"><title>",
          file);
    html_print_escaped(print, object, file);
    fprintf(file, "</title><style>%s</style></head><body>\n<header class=\"%s\"><h1>", style, verdict);
    html_print_escaped(print, object, file);
    fputs("</h1>", file);
    if (*text) {
        fputs("<p>", file);
        html_text(file, text);
        fputs("</p>", file);
    }
    fputs("</header>\n", file);
}
