/* Stands in until the layer cli has its first source file. */
typedef int tenure_cli_layer;
