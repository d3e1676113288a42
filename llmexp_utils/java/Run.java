import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;

/**
 * Runs {@code Main.main} and says how it ended, on a line that begins with a word that the program does not know: it
 * comes in through standard input before a class of the program is loaded. An early exit says nothing.
 */
public class Run {
    public static void main(String[] arguments) throws IOException {
        FileOutputStream out = new FileOutputStream(FileDescriptor.out);
        String word = new String(System.in.readNBytes(32), StandardCharsets.US_ASCII);
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        String verdict;
        try {
            Class.forName("Main").getMethod("main", String[].class).invoke(null, (Object) new String[0]);
            verdict = "pass ";
        } catch (InvocationTargetException error) {
            verdict = explain(error.getCause());
        } catch (Throwable error) {
            verdict = "error " + error;
        }
        out.write((word + " " + verdict.replace('\n', ' ') + "\n").getBytes(StandardCharsets.UTF_8));
        out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static String explain(Throwable error) {
        try {
            StackTraceElement[] stack = error.getStackTrace();
            boolean own = stack.length > 0 && stack[0].getClassName().equals("Main");
            return (error.getClass() == AssertionError.class && own ? "fail " : "error ") + error;
        } catch (Throwable other) { // the message is made by code of the program
            return "error " + error.getClass().getName();
        }
    }
}
