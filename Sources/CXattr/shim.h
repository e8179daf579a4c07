// Extended attributes (setxattr(2)), which the Glibc module lacks.
#include <sys/xattr.h>
