import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import javax.jms.Connection;
import javax.jms.JMSException;
import javax.jms.Message;
import javax.jms.MessageConsumer;
import javax.jms.MessageProducer;
import javax.jms.Queue;
import javax.jms.Session;
import javax.jms.TextMessage;
import javax.jms.Topic;
import org.fusesource.stomp.jms.StompJmsConnectionFactory;

/**
 * What a program that knows only JMS sees of the broker, through ActiveMQ's JMS client for STOMP.
 *
 * java -cp 'DIRECTORY/*' Jms.java tcp://127.0.0.1:61613
 *
 * prints a line for each thing that it tries.
 */
public class Jms {
    private static final long PATIENCE = 20_000;
    private static final long HOUR = 3_600_000;
    private static String url;

    public static void main(String[] arguments) throws Exception {
        url = arguments[0];
        tell("priorities", priorities());
        tell("expiry", expiry());
        tell("selector", selector());
        tell("chosen", chosen());
        tell("groups", groups());
        tell("closed", closed());
        tell("transaction", transaction());
        tell("durable", durable());
        System.out.flush();
        Runtime.getRuntime().halt(0); // its threads would keep the process
    }

    private static void tell(String what, List<String> heard) {
        System.out.println(what + " " + String.join(" ", heard));
    }

    private static Connection connection(String clientId) throws JMSException {
        StompJmsConnectionFactory factory = new StompJmsConnectionFactory();
        factory.setBrokerURI(url);
        Connection connection = factory.createConnection("guest", "guest");
        if (clientId != null) connection.setClientID(clientId);
        connection.start();
        return connection;
    }

    private static Session session(boolean isTransacted) throws JMSException {
        return connection(null).createSession(isTransacted, Session.AUTO_ACKNOWLEDGE);
    }

    private static String name() {
        return "jms." + UUID.randomUUID();
    }

    private static Message next(MessageConsumer consumer) throws JMSException {
        Message message = consumer.receive(PATIENCE);
        if (message == null) throw new JMSException("nothing came");
        return message;
    }

    private static String text(Message message) throws JMSException {
        return ((TextMessage) message).getText();
    }

    private static List<String> priorities() throws JMSException {
        Session session = session(false);
        Queue queue = session.createQueue(name());
        MessageProducer producer = session.createProducer(queue);
        for (int priority : new int[] {1, 9, 5}) {
            producer.send(session.createTextMessage("with-" + priority), Message.DEFAULT_DELIVERY_MODE, priority, 0);
        }
        MessageConsumer consumer = session.createConsumer(queue);
        return List.of(text(next(consumer)), text(next(consumer)), text(next(consumer)));
    }

    private static List<String> expiry() throws Exception {
        Session session = session(false);
        Queue queue = session.createQueue(name());
        MessageProducer producer = session.createProducer(queue);
        producer.send(session.createTextMessage("short"), Message.DEFAULT_DELIVERY_MODE, 4, 1);
        producer.send(session.createTextMessage("long"), Message.DEFAULT_DELIVERY_MODE, 4, HOUR);
        Thread.sleep(50); // for time to go by is all that there is to wait for
        return List.of(text(next(session.createConsumer(queue))));
    }

    private static List<String> selector() throws JMSException {
        Session session = session(false);
        Topic topic = session.createTopic(name());
        MessageConsumer consumer = session.createConsumer(topic, "price < 10 AND colour = 'red'");
        MessageProducer producer = session.createProducer(topic);
        for (int price : new int[] {50, 5}) {
            TextMessage message = session.createTextMessage("for-" + price);
            message.setIntProperty("price", price);
            message.setStringProperty("colour", "red");
            producer.send(message);
        }
        return List.of(text(next(consumer)));
    }

    private static List<String> chosen() throws JMSException {
        Session chooser = session(false), other = session(false);
        Queue queue = chooser.createQueue(name());
        MessageConsumer choosing = chooser.createConsumer(queue, "colour = 'red' AND JMSPriority > 3");
        for (String text : List.of("blue", "red", "blue-too", "red-too")) {
            send(other, queue, text, Map.of("colour", text.split("-")[0]));
        }
        List<String> heard = texts(choosing, 2);
        heard.addAll(texts(other.createConsumer(queue), 2));
        return heard;
    }

    /** One consumer has a group and one of two more, and acknowledges nothing; when it goes, the other one has all. */
    private static List<String> groups() throws JMSException {
        Connection goes = connection(null);
        Session first = goes.createSession(false, Session.CLIENT_ACKNOWLEDGE), second = session(false);
        Queue queue = first.createQueue(name());
        MessageConsumer going = first.createConsumer(queue);
        send(second, queue, "a1", group("a"));
        List<String> heard = texts(going, 1);
        MessageConsumer staying = second.createConsumer(queue);
        for (String text : List.of("a2", "a3", "b1", "c1")) send(second, queue, text, group(text.substring(0, 1)));
        heard.addAll(texts(going, 3));
        heard.removeIf(text -> !text.startsWith("a"));
        List<String> moved = texts(staying, 1);
        goes.close();
        moved.addAll(texts(staying, 4));
        moved.sort(Comparator.comparing(text -> text.charAt(0)));
        heard.addAll(moved);
        return heard;
    }

    private static List<String> closed() throws JMSException {
        Session first = session(false), second = session(false);
        Queue queue = first.createQueue(name());
        MessageConsumer having = first.createConsumer(queue);
        send(second, queue, "a1", group("a"));
        List<String> heard = texts(having, 1);
        MessageConsumer next = second.createConsumer(queue);
        send(second, queue, "a2", Map.of("JMSXGroupID", "a", "JMSXGroupSeq", -1));
        heard.addAll(texts(having, 1));
        send(second, queue, "a3", group("a"));
        heard.addAll(texts(next, 1));
        return heard;
    }

    private static Map<String, Object> group(String name) {
        return Map.of("JMSXGroupID", name);
    }

    private static List<String> texts(MessageConsumer consumer, int count) throws JMSException {
        List<String> texts = new ArrayList<>();
        while (texts.size() < count) texts.add(text(next(consumer)));
        return texts;
    }

    private static void send(Session session, Queue queue, String text, Map<String, ?> properties) throws JMSException {
        TextMessage message = session.createTextMessage(text);
        for (String name : properties.keySet()) message.setObjectProperty(name, properties.get(name));
        session.createProducer(queue).send(message);
    }

    private static List<String> transaction() throws JMSException {
        Session session = session(true);
        Queue queue = session.createQueue(name());
        MessageProducer producer = session.createProducer(queue);
        producer.send(session.createTextMessage("rolled-back"));
        session.rollback();
        producer.send(session.createTextMessage("committed"));
        session.commit();
        MessageConsumer consumer = session.createConsumer(queue);
        List<String> heard = new ArrayList<>();
        heard.add(text(next(consumer)));
        session.rollback();
        Message again = next(consumer);
        heard.add(text(again));
        heard.add(again.getJMSRedelivered() ? "redelivered" : "not-redelivered");
        session.commit();
        return heard;
    }

    /** Its client takes a durable subscription only of a broker that calls itself ActiveMQ. */
    private static List<String> durable() throws JMSException {
        String clientId = name(), topicName = name();
        Connection connection = connection(clientId);
        Session session = connection.createSession(false, Session.AUTO_ACKNOWLEDGE);
        session.createDurableSubscriber(session.createTopic(topicName), "stock");
        connection.close();
        Session other = session(false);
        MessageProducer producer = other.createProducer(other.createTopic(topicName));
        for (String text : List.of("one", "two")) producer.send(other.createTextMessage(text));
        session = connection(clientId).createSession(false, Session.AUTO_ACKNOWLEDGE);
        MessageConsumer consumer = session.createDurableSubscriber(session.createTopic(topicName), "stock");
        return List.of(text(next(consumer)), text(next(consumer)));
    }
}
