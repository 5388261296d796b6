# SPDX-License-Identifier: Apache-2.0
# The tree is formatted as .clang-format says (version 14, Debian 12's).
file(GLOB_RECURSE style_sources CONFIGURE_DEPENDS
	${CMAKE_SOURCE_DIR}/core/*.[ch] ${CMAKE_SOURCE_DIR}/plugins/*.[ch]
	${CMAKE_SOURCE_DIR}/sdk/*.[ch] ${CMAKE_SOURCE_DIR}/tests/*.[ch])
add_test(NAME style_format COMMAND clang-format --dry-run -Werror ${style_sources})
set_tests_properties(style_format PROPERTIES LABELS unit TIMEOUT 120)
