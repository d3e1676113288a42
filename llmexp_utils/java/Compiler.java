import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.StringWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

/**
 * A warm compiler: sources come in, classes go out, nothing touches a disk.
 *
 * <p>In: length and UTF-8 text of one source file, which may hold several classes. Out: the number of classes, and for
 * each its name and its bytes, both behind their length; or -1 and a message, behind its length.
 */
public class Compiler {
    private static final List<String> OPTIONS =
            List.of("-proc:none", "-nowarn", "-Xlint:none", "-implicit:none", "-g:lines,source", "-encoding", "UTF-8");

    public static void main(String[] arguments) throws IOException {
        DataInputStream in = new DataInputStream(System.in);
        DataOutputStream out = new DataOutputStream(System.out);
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        try (JavaFileManager files = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8)) {
            while (true) {
                byte[] source;
                try {
                    source = in.readNBytes(in.readInt());
                } catch (EOFException end) {
                    return;
                }
                answer(compiler, files, new String(source, StandardCharsets.UTF_8), out);
                out.flush();
            }
        }
    }

    private static void answer(JavaCompiler compiler, JavaFileManager files, String source, DataOutputStream out)
            throws IOException {
        StringWriter said = new StringWriter();
        Memory memory = new Memory(files);
        boolean done;
        try {
            done = compiler.getTask(said, memory, null, OPTIONS, null, List.of(new Source(source))).call();
        } catch (Throwable error) { // a source that brings the compiler down is a source that does not compile
            done = false;
            said.append(error.toString());
        }
        out.writeInt(done ? memory.classes.size() : -1);
        if (!done) {
            write(out, said.toString().getBytes(StandardCharsets.UTF_8));
            return;
        }
        for (Map.Entry<String, ByteArrayOutputStream> one : memory.classes.entrySet()) {
            write(out, one.getKey().getBytes(StandardCharsets.UTF_8));
            write(out, one.getValue().toByteArray());
        }
    }

    private static void write(DataOutputStream out, byte[] data) throws IOException {
        out.writeInt(data.length);
        out.write(data);
    }

    private static final class Source extends SimpleJavaFileObject {
        private final String text;

        Source(String text) {
            super(URI.create("string:///Main.java"), Kind.SOURCE);
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }
    }

    private static final class Memory extends ForwardingJavaFileManager<JavaFileManager> {
        final Map<String, ByteArrayOutputStream> classes = new LinkedHashMap<>();

        Memory(JavaFileManager files) {
            super(files);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(
                Location location, String name, JavaFileObject.Kind kind, FileObject sibling) {
            return new SimpleJavaFileObject(URI.create("string:///" + name.replace('.', '/')), kind) {
                @Override
                public OutputStream openOutputStream() {
                    ByteArrayOutputStream stream = new ByteArrayOutputStream();
                    classes.put(name, stream);
                    return stream;
                }
            };
        }
    }
}
