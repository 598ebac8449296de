# Compiler flags of every build; what differs between builds is decided by the options in CMakeLists.txt.
add_compile_definitions(_GNU_SOURCE MANSIO_VERSION="${PROJECT_VERSION}")
include_directories(${CMAKE_SOURCE_DIR})

add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wimplicit-fallthrough -Wformat=2
    -fno-strict-aliasing -fno-common -fvisibility=hidden)
if(MANSIO_WERROR)
    add_compile_options(-Werror)
endif()
# A path of the build machine has no place in a binary.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)

if(CMAKE_BUILD_TYPE STREQUAL "Release")
    add_compile_options(-O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong
        -fstack-clash-protection -fcf-protection)
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
        add_compile_options(-ftrivial-auto-var-init=zero)
    endif()
    add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
endif()
if(MANSIO_CHECK)
    add_compile_definitions(MANSIO_CHECK=1)
endif()
if(MANSIO_SANITIZE)
    add_compile_options(-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=address,undefined)
    add_compile_definitions(MANSIO_CHECK=1 MANSIO_SANITIZE=1)
endif()
if(MANSIO_FUZZ)
    add_compile_options(-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
    add_link_options(-fsanitize=address,undefined)
    add_compile_definitions(MANSIO_CHECK=1 MANSIO_SANITIZE=1 MANSIO_FUZZ=1)
endif()
if(MANSIO_COVERAGE)
    add_compile_options(-O0 -g --coverage)
    add_link_options(--coverage)
    add_compile_definitions(MANSIO_CHECK=1 MANSIO_COVERAGE=1)
endif()
