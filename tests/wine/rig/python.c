/* python.exe: what CPython's PC/../Programs/python.c is.  Wine and PyPI carry python311.dll, but not this launcher. */
#include <wchar.h>

__declspec(dllimport) int Py_Main(int argc, wchar_t **argv);

int wmain(int argc, wchar_t **argv) { return Py_Main(argc, argv); }
