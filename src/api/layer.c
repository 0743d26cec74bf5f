/* Stands in until the layer api has its first source file. */
typedef int tenure_api_layer;
