/* Service.exe: the program that holds a port in these tests.

     Service.exe ADDRESS PORT [OPTION]     prints "PORT PID" once it listens, and ends when its standard input closes
     Service.exe --service PORT NAME       listens on 0.0.0.0 as the Windows service NAME (started by the service manager)

   OPTION: bound (no listen), unseen (Wine cannot tell whose it is), exclusive (SO_EXCLUSIVEADDRUSE), reuse (SO_REUSEADDR) */
#define _WIN32_WINNT 0x0A00
#include <winsock2.h>
#include <ws2tcpip.h>
#include <stdio.h>
#include <string.h>

static const char *service_port;
static char *service_name;
static HANDLE service_may_end;
static SOCKET held;

/* Wine finds a socket's owner by looking for it among the Unix descriptors of every process (nsiproxy.sys), and a
   process has one only after a call that needs it: this one does; bind, listen and accept are made by wineserver. */
static void be_seen_by_wine(SOCKET s) {
    BOOL on = TRUE;
    setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, (char *)&on, sizeof on);
}

static int fail(const char *what) {
    fprintf(stderr, "%s: WinError %d\n", what, WSAGetLastError());
    return 1;
}

static int hold(const char *address, const char *port, const char *option) {
    WSADATA wsa;
    struct addrinfo *at, hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct sockaddr_in6 bound;
    int size = sizeof bound;
    BOOL on = TRUE;

    WSAStartup(MAKEWORD(2, 2), &wsa);
    if (getaddrinfo(address, port, &hints, &at)) return fail("getaddrinfo");
    held = socket(at->ai_family, SOCK_STREAM, IPPROTO_TCP);
    if (!strcmp(option, "exclusive")) setsockopt(held, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (char *)&on, sizeof on);
    if (!strcmp(option, "reuse")) setsockopt(held, SOL_SOCKET, SO_REUSEADDR, (char *)&on, sizeof on);
    if (bind(held, at->ai_addr, (int)at->ai_addrlen)) return fail("bind");
    if (strcmp(option, "bound") && listen(held, 5)) return fail("listen");
    if (strcmp(option, "unseen")) be_seen_by_wine(held);
    getsockname(held, (struct sockaddr *)&bound, &size);
    printf("%d %lu\n", ntohs(bound.sin6_port), GetCurrentProcessId());
    fflush(stdout);
    return 0;
}

static DWORD WINAPI handle_control(DWORD control, DWORD type, LPVOID data, LPVOID context) {
    (void)type, (void)data, (void)context;
    if (control == SERVICE_CONTROL_STOP) SetEvent(service_may_end);
    return NO_ERROR;
}

static void WINAPI run_service(DWORD argc, LPSTR *argv) {
    SERVICE_STATUS status = {.dwServiceType = SERVICE_WIN32_OWN_PROCESS, .dwCurrentState = SERVICE_RUNNING,
                             .dwControlsAccepted = SERVICE_ACCEPT_STOP};
    (void)argc, (void)argv;
    service_may_end = CreateEventA(NULL, TRUE, FALSE, NULL);
    SERVICE_STATUS_HANDLE handle = RegisterServiceCtrlHandlerExA(service_name, handle_control, NULL);
    if (hold("0.0.0.0", service_port, "")) status.dwWin32ExitCode = WSAGetLastError();
    else {
        SetServiceStatus(handle, &status);
        WaitForSingleObject(service_may_end, INFINITE);
        closesocket(held);
    }
    status.dwCurrentState = SERVICE_STOPPED;
    SetServiceStatus(handle, &status);
}

static int serve(char *port, char *name) {
    SERVICE_TABLE_ENTRYA services[] = {{name, run_service}, {NULL, NULL}};
    service_port = port;
    service_name = name;
    return StartServiceCtrlDispatcherA(services) ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "--service")) return serve(argv[2], argv[3]);
    if (argc < 3) return 2;
    if (hold(argv[1], argv[2], argc > 3 ? argv[3] : "")) return 1;
    while (getchar() != EOF) {}
    closesocket(held);
    return 0;
}
