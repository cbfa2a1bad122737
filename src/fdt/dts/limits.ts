/** What source text may cost. Real trees stay far below; a hostile one must end in an error, not in an exhausted machine. */

/** Characters of all files together, each counted as often as it is read, and of all that macros expand to. */
export const MAX_SOURCE_SIZE = 32 << 20;

/** Files open inside each other. Also what ends a header that includes itself. */
export const MAX_INCLUDE_DEPTH = 64;

/** Files read in all: an empty file that is included again and again costs no characters. */
export const MAX_INCLUDES = 4096;

/** Macro replacements in all. */
export const MAX_EXPANSIONS = 1 << 19;

/** Macro arguments inside macro arguments, `#if` inside `#if`, parentheses and operators inside expressions. */
export const MAX_NESTING = 200;

/** Nodes, and labels: each costs far more memory than its few characters of text. */
export const MAX_NODES = 1 << 20;

/** Errors kept before giving up: enough to repair a file, too few to fill a terminal. */
export const MAX_ERRORS = 50;

/** Labels at one node, property or reservation. */
export const MAX_LABELS = 256;

/** Nodes and properties looked at to delete or to find something, where an index does not help. */
export const MAX_SEARCH = 1 << 27;

/** Tokens that macros expand to in all, those of arguments counted each time they are copied. */
export const MAX_MACRO_TOKENS = 1 << 21;

/** Comments that are kept, and their characters: indented and printed again, they may become many more. */
export const MAX_COMMENTS = 1 << 17;
export const MAX_COMMENT_CHARACTERS = 4 << 20;

/** One directive of the preprocessor, the lines that continue it included. */
export const MAX_DIRECTIVE_LENGTH = 1 << 16;
