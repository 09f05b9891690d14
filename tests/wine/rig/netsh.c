/* netsh.exe: Wine has no netsh at all.  Emulated by printing, byte for byte, a recorded output: the file
   %NETSH_RECORDINGS%\<arguments joined by '_'>.txt, such as int_ipv4_show_excludedportrange_protocol=tcp.txt.
   Without such a file it prints nothing and exits 1, as netsh does for a command that it does not know. */
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    const char *folder = getenv("NETSH_RECORDINGS");
    char path[1024];
    if (!folder) return 1;
    int used = snprintf(path, sizeof path, "%s\\", folder);
    for (int i = 1; i < argc && used < (int)sizeof path; i++)
        used += snprintf(path + used, sizeof path - used, "%s%s", i > 1 ? "_" : "", argv[i]);
    if (used + 5 > (int)sizeof path) return 1;
    strcat(path, ".txt");
    FILE *recorded = fopen(path, "rb");
    if (!recorded) return 1;
    _setmode(_fileno(stdout), _O_BINARY);
    for (int byte; (byte = getc(recorded)) != EOF;) putchar(byte);
    return 0;
}
